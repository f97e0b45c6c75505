# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that captions choose from, by what they stand for; a word listed twice is twice as likely."""

COLOURS = {
    "red": ("red", "red", "red", "red", "scarlet", "crimson", "bright red"),
    "green": ("green", "green", "green", "green", "emerald", "emerald green", "bright green"),
    "blue": ("blue", "blue", "blue", "blue", "azure", "royal blue", "bright blue"),
    "yellow": ("yellow", "yellow", "yellow", "yellow", "bright yellow", "sunny yellow", "golden yellow"),
    "orange": ("orange", "orange", "orange", "orange", "bright orange", "amber"),
    "purple": ("purple", "purple", "purple", "purple", "violet", "deep purple"),
    "white": ("white", "white", "white", "white", "ivory", "pure white", "bright white"),
    "black": ("black", "black", "black", "black", "ebony", "pitch black"),
    "pink": ("pink", "pink", "pink", "pink", "rosy", "light pink", "pale pink"),
    "brown": ("brown", "brown", "brown", "brown", "chocolate brown", "dark brown", "earthy brown"),
    "grey": ("grey", "gray", "grey", "gray", "silver grey", "smoky grey", "silvery gray"),
}
NOUNS = {
    "ball": ("ball", "ball", "sphere", "sphere", "orb", "globe"),
    "cube": ("cube", "cube", "box", "block"),
    "cone": ("cone",),
    "cylinder": ("cylinder",),
    "column": ("column", "pillar"),
    "pyramid": ("pyramid",),
    "house": ("house", "house", "house", "cottage", "hut", "cabin", "farmhouse"),
    "tree": ("tree",),
    "tower": ("tower", "tower", "castle tower", "round tower", "turret"),
    "lighthouse": ("lighthouse",),
    "rock": ("rock", "boulder", "stone"),
    "bench": ("bench", "bench", "park bench"),
    "table": ("table",),
    "bed": ("bed",),
    "chair": ("chair",),
    "wardrobe": ("wardrobe", "wardrobe", "cupboard", "closet", "cabinet"),
    "shelf": ("shelf", "bookshelf", "book shelf"),
    "sofa": ("sofa", "sofa", "couch"),
    "lamp": ("lamp", "standing lamp", "floor lamp"),
}
TREE_FORMS = {"fir": ("fir tree", "pine tree", "conifer", "fir"), "poplar": ("poplar", "tall thin tree", "slender tree")}
SIZES = {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")}
SIDE = {
    "left": ("on the left", "on the left side", "to the left", "at left"),
    "centre": ("in the middle", "in the centre", "in the center"),
    "right": ("on the right", "on the right side", "to the right", "at right"),
}
GROUND_AT = {
    "grass": (
        "on the grass", "on green grass", "in a meadow", "on a lawn", "in a green field", "on a grassy plain", "in a field", "in a pasture", "on the prairie",
        "on green pasture", "in a grassland",
    ),
    "sand": ("in the desert", "on the sand", "in a sandy desert", "on sand", "on a sandy plain", "on yellow sand"),
    "snow": ("in the snow", "on snow", "on a snowy field", "on white snow", "in a snowy landscape", "in deep snow", "in a winter landscape"),
    "dirt": ("on brown earth", "on bare ground", "on dirt", "on brown ground", "on bare earth", "in a barren land"),
    "stone": ("on grey stony ground", "on a stone plain", "on gray ground", "on a rocky plain", "on stony ground", "on bare rock"),
    "water": ("on the water", "in the sea", "in the ocean", "on the sea", "in calm water", "on the ocean", "on calm waves"),
}  # fmt: skip
GROUND_IS = {
    "grass": ("a green meadow", "a grassy field", "a green field", "a meadow", "a wide lawn", "grassland", "a green pasture", "a prairie", "green country"),
    "sand": ("a sandy desert", "a desert", "a sandy plain", "desert sand", "an empty desert", "a wide desert of sand"),
    "snow": ("a snowy plain", "a snowy landscape", "a snow field", "a white winter landscape", "a field of snow", "a frozen plain"),
    "dirt": ("a brown plain", "bare brown ground", "a barren brown land", "a barren plain", "bare earth"),
    "stone": ("a grey stone plain", "a rocky plain", "a stony desert", "stony ground", "a plain of bare rock"),
    "water": ("a calm sea", "the ocean", "the sea", "open water", "a calm ocean", "the open sea", "blue water"),
}
GROUND_TAGS = {
    "grass": ("grass", "green meadow", "field", "lawn", "pasture"), "sand": ("desert", "sand", "sandy desert"), "snow": ("snow", "winter", "snow field"),
    "dirt": ("brown earth", "bare ground", "barren land"), "stone": ("stone", "rocky plain", "stony ground"), "water": ("sea", "ocean", "calm water"),
}  # fmt: skip
SHORE_AT = {
    "sea": ("on the beach", "at the beach", "on a sandy beach", "on the shore", "by the sea", "at the seaside", "on the coast"),
    "lake": ("by a lake", "at the lake", "on the shore of a lake", "beside a lake", "at the edge of a lake"),
}
SHORE_IS = {
    "sea": ("a beach", "a sandy beach", "a beach by the sea", "the sea shore", "a sandy coast", "a seaside with sand and waves", "the beach and the ocean"),
    "lake": ("a lake", "the shore of a lake", "a calm lake", "a wide lake"),
}
SHORE_TAGS = {"sea": ("beach", "sea shore", "coast", "seaside"), "lake": ("lake", "lake shore")}
HILLS_ARE = {
    "grass": ("green hills", "rolling green hills", "grassy hills", "soft green hills"),
    "sand": ("sand dunes", "desert dunes", "dunes of sand", "golden dunes", "a desert with dunes"),
    "snow": ("snowy hills", "white snowy hills", "hills covered in snow", "snow hills"),
    "dirt": ("brown hills", "bare brown hills", "barren hills"),
    "stone": ("grey hills", "stony hills", "gray rocky hills"),
}
MOUNTAINS_ARE = {
    "snowy": ("snowy mountains", "snow-capped mountains", "mountains with snow", "snowy peaks", "white summits", "snowy alps", "the alps", "mountains"),
    "rocky": ("rocky mountains", "mountains", "bare mountains", "rocky peaks", "a rocky mountain range"),
    "green": ("green mountains", "mountains", "green peaks", "a green mountain range"),
    "red": ("red mountains", "red rocky mountains", "desert mountains", "red peaks", "red rocky summits"),
}
TREES_ARE = {
    "fir": ("fir trees", "green fir trees", "a fir forest", "pine trees", "trees", "conifers", "firs", "a pine forest"),
    "round": ("green trees", "trees", "a forest", "a grove of trees", "leafy trees", "a green wood", "some trees"),
}
ROAD_WITH = {
    "asphalt": ("with a road", "with an asphalt road", "by the road", "next to a road", "beside a paved road", "with a grey road running away"),
    "dirt": ("with a dirt road", "by a dirt path", "next to a dirt track", "with a brown path", "beside a path"),
    "gravel": ("with a gravel road", "by a gravel path", "next to a pale path", "with a path"),
}
ROAD_IS = {
    "asphalt": ("a road through", "an asphalt road through", "a road across", "a long road leading through", "a street running through"),
    "dirt": ("a dirt road through", "a dirt path through", "a path across", "a country lane through"),
    "gravel": ("a gravel road through", "a pale path across", "a gravel path through", "a path through"),
}
ROAD_TAGS = {"asphalt": ("road", "asphalt road"), "dirt": ("dirt road", "path"), "gravel": ("gravel path", "path")}
BARRIER_WITH = {
    "stone wall": ("with a stone wall", "by a stone wall", "with a wall of stones", "with an old stone wall"),
    "brick wall": ("with a brick wall", "by a brick wall", "with a red brick wall", "with a wall of bricks"),
    "wooden fence": ("with a fence", "with a wooden fence", "by a fence", "with a wood fence"),
}
SKY_WITH = {
    "clear": (
        "under a clear sky", "under a blue sky", "on a sunny day", "under a clear blue sky", "in bright daylight", "in the sunshine", "on a bright sunny day",
        "in sunny weather",
    ),
    "cloudy": ("under a cloudy sky", "with clouds in the sky", "under white clouds", "under a blue sky with clouds", "with fluffy white clouds"),
    "sunset": (
        "at sunset", "at dusk", "in the evening", "under an orange sky", "in the evening light", "with a low sun", "at twilight", "in the evening glow",
        "while the sun goes down",
    ),
    "sunrise": ("at sunrise", "at dawn", "at daybreak", "in the early morning", "while the sun comes up", "under a pink morning sky"),
    "overcast": ("on an overcast day", "under a grey sky", "on a grey day", "under an overcast sky", "in dull weather", "under grey clouds"),
    "night": ("at night", "under the stars", "at night under the stars", "under a starry sky", "in the dark night", "at nighttime", "by night"),
    "fog": ("in fog", "in the mist", "on a misty morning", "in thick fog", "on a foggy day", "in foggy weather", "in a white mist"),
    "golden": ("at golden hour", "in golden light", "in warm evening sunlight", "in the golden hour", "in warm low sunlight"),
}  # fmt: skip
SKY_UNSEEN = {  # when the picture shows none of it
    "clear": ("on a sunny day", "in bright daylight"), "cloudy": (), "sunset": ("in the evening light",), "sunrise": ("in the early morning",),
    "overcast": ("in dull weather", "on a grey day"), "night": ("at night", "by night", "at nighttime"), "fog": ("in fog", "in the mist", "on a foggy day"),
    "golden": ("in golden light", "at golden hour"),
}  # fmt: skip
MOON = ("in the moonlight", "under the moon", "at night with a moon", "under a full moon", "on a moonlit night")
SKY_TAGS = {
    "clear": ("blue sky", "sunny", "clear sky", "daylight"),
    "cloudy": ("clouds", "cloudy sky", "white clouds"), "sunset": ("sunset", "dusk", "evening glow", "twilight"),
    "sunrise": ("sunrise", "dawn", "morning light"), "overcast": ("overcast", "grey sky", "grey day"), "night": ("night", "starry sky", "stars", "dark night"),
    "fog": ("fog", "mist", "foggy"), "golden": ("golden hour", "warm light", "golden light"),
}  # fmt: skip
SKY_SAYS = {
    "clear": ("the sun is shining", "the sky is blue", "it is a sunny day", "the sky is clear"),
    "cloudy": ("there are clouds in the sky", "white clouds drift by", "the sky is cloudy"),
    "sunset": ("the sun is setting", "the sun goes down", "it is evening", "the sky glows orange"),
    "sunrise": ("the sun is rising", "it is early morning", "the day begins"),
    "overcast": ("the sky is grey", "it is an overcast day", "grey clouds cover the sky"),
    "night": ("it is night", "the stars are out", "stars shine in the sky"),
    "fog": ("it is foggy", "fog hangs over the land", "everything is in mist"),
    "golden": ("the light is golden", "the sun is low and warm", "warm light falls over the land"),
}
LIGHT_FROM = {
    "left": ("lit from the left", "with light from the left", "with the sun on the left"),
    "right": ("lit from the right", "with light from the right", "with the sun on the right"),
    "behind": ("lit from behind the camera", "with the sun behind the camera", "in front light"),
    "front": ("against the light", "backlit", "with the sun in front", "against the sun"),
}
PREFIXES = (
    "a picture of", "a photo of", "an image of", "3d render of", "a 3d render of", "photo of", "a rendering of", "a view of", "a photograph of", "picture of",
)  # fmt: skip
STYLE_BEFORE = {
    "flat": ("a flat-shaded picture of", "flat illustration of", "low poly render of", "a low poly picture of", "a flat-shaded render of", "low poly art of"),
    "line": ("line drawing of", "a line drawing of", "ink drawing of", "an ink drawing of", "outline sketch of", "a sketch of", "a pen drawing of"),
}
STYLE_AFTER = {
    "flat": ("flat-shaded", "low poly", "low poly style", "flat illustration", "in flat colours", "flat shading", "in a flat style"),
    "line": ("line drawing", "ink drawing", "outline sketch", "in ink lines", "drawn with a pen", "line art"),
}
COLOURED_LINES = ("coloured line drawing of", "a colored line drawing of", "tinted ink drawing of", "a sketch in pale colours of")
CAMERA_BEFORE = {
    "bird's-eye": ("bird's-eye view of", "a view from above of", "an aerial view of", "a bird's-eye view of", "view from the air of"),
    "low": ("low angle view of", "a low angle shot of", "a view from the ground of"),
    "wide": ("wide-angle view of", "a wide-angle photo of", "a wide angle shot of", "a wide view of"),
    "telephoto": ("telephoto shot of", "a telephoto view of", "a zoomed in view of", "a close-up view of"),
}
CAMERA_AFTER = {
    "bird's-eye": ("seen from above", "from a bird's-eye view", "from high above", "aerial view"),
    "low": ("from a low angle", "seen from below", "low angle"),
    "wide": ("wide-angle", "wide angle lens", "in a wide-angle view"),
    "telephoto": ("zoomed in", "telephoto", "through a telephoto lens"),
}
FIXTURES = {
    "window": ("with a window", "with a window in the wall", "with a white window"),
    "door": ("with a door", "with a door in the back wall", "with a closed door"),
    "picture": ("with a picture on the wall", "with a framed picture", "with a painting on the wall"),
}
SCENERY = ("backdrop", "landscape", "scenery", "background")

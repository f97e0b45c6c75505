# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people say instead of the words of captions. A text encoder learns from it to read other words as those; `HELD_OUT_WORDS` are not among them.

A phrase may be wider than its class ("jungle" for trees): it is read as the nearest thing that a small model can paint.
"""

_COLORED = {
    "red": "tomato strawberry raspberry brick blood wine rose fire lobster poppy cranberry ketchup",
    "green": "grass moss lime pea mint olive cactus frog cucumber avocado spinach clover pickle broccoli",
    "blue": "sky sea ocean denim cornflower blueberry peacock ice jeans forget-me-not",
    "yellow": "banana butter honey sun corn sunflower daffodil egg-yolk cheese sulfur straw",
    "orange": "carrot peach fox melon papaya mandarin basketball goldfish",
    "purple": "grape lavender eggplant orchid mulberry fig iris beet heather",
    "white": "snow cotton paper pearl swan cream eggshell bone porcelain cloud",
    "black": "soot tar raven night crow onyx licorice oil panther",
    "pink": "bubblegum cotton-candy peony blush carnation piglet shrimp watermelon",
    "brown": "coffee cocoa caramel cinnamon wood bark clay hazel rust nut bear toffee leather cork",
    "grey": "steel lead cement concrete stone iron mouse elephant dust pebble storm",
}
"""By color, things that have it."""

COLOURS = {
    "red": (
        "carmine", "cardinal red", "ruddy", "maroon", "burgundy", "garnet", "rust red", "blood red", "brick red", "fiery red", "reddish",
        "rouge", "claret", "magenta red", "cerise", "dark red", "deep red", "vivid red", "candy red", "fire-engine red", "wine red", "sanguine",
        "crimson-tinted", "red-painted", "red colored", "coral red", "flaming",
    ),
    "green": (
        "olive", "lime", "lime green", "forest green", "sea green", "mint green", "mossy", "moss green", "chartreuse", "teal green", "grass green",
        "dark green", "light green", "pale green", "greenish", "bottle green", "kelly green", "malachite", "avocado", "sage", "pea green",
        "olive green", "vivid green", "green-painted", "pine green", "shamrock", "apple green", "fern green",
    ),
    "blue": (
        "navy", "navy blue", "turquoise", "cerulean", "indigo", "sky blue", "light blue", "dark blue", "deep blue", "bluish", "teal", "cyan",
        "aquamarine", "aqua", "steel blue", "denim", "baby blue", "prussian blue", "electric blue", "cornflower", "sea blue", "ocean blue",
        "blue-painted", "powder blue", "lapis lazuli", "vivid blue",
    ),
    "yellow": (
        "golden", "gold", "yellowish", "blond", "saffron", "dandelion", "maize", "straw", "citrine", "light yellow",
        "pale yellow", "vivid yellow", "neon yellow", "sunshine yellow", "banana", "butter", "primrose", "cream yellow", "yolk", "yellow-painted",
        "flaxen", "ocher", "honey", "sulfur", "topaz",
    ),
    "orange": (
        "peach", "carrot", "rusty orange", "copper", "coppery", "burnt orange", "ginger", "persimmon", "marigold",
        "terracotta", "light orange", "dark orange", "vivid orange", "neon orange", "orange-painted", "mandarin", "coral", "flame", "melon", "citrus",
        "orangey", "sunset-colored", "cantaloupe", "tawny orange",
    ),
    "purple": (
        "lavender", "mauve", "magenta", "indigo purple", "purplish", "grape", "aubergine", "eggplant", "orchid", "royal purple",
        "dark purple", "light purple", "pale purple", "vivid purple", "mulberry", "heliotrope", "wisteria", "byzantine purple", "tyrian purple",
        "violet-tinted", "purple-painted", "periwinkle", "iris", "heather", "boysenberry",
    ),
    "white": (
        "snow-white", "snowy white", "whitish", "cream", "creamy", "pearl", "pearly", "off-white", "bone white", "whitewashed", "bleached",
        "eggshell", "porcelain", "pale", "linen", "lily white", "light", "white-painted", "colorless", "bright",
        "ghostly white", "vanilla", "opal", "blank",
    ),
    "black": (
        "onyx", "charcoal", "sooty", "raven", "raven black", "blackish", "dark", "very dark", "obsidian",
        "night-black", "sable", "pitch-dark", "tar black", "black-painted", "blackened", "carbon", "deep black", "matte black", "glossy black",
        "swarthy", "lightless",
    ),
    "pink": (
        "rose", "rose pink", "hot pink", "pinkish", "magenta pink", "coral pink", "blush", "bubblegum pink", "baby pink", "pastel pink",
        "peachy", "cerise pink", "carnation", "candy pink", "neon pink", "deep pink", "shell pink",
        "watermelon pink", "pink-painted", "strawberry pink", "rosaceous", "raspberry pink",
    ),
    "brown": (
        "chocolate", "coffee", "tan", "beige", "brownish", "auburn", "sepia", "caramel", "cinnamon", "cocoa", "mahogany", "hazel", "russet", "bronze",
        "rusty", "tawny", "nut-brown", "light brown", "reddish brown", "wooden brown", "khaki", "sienna", "toffee", "brown-painted",
        "mocha", "leather", "oaken",
    ),
    "grey": (
        "silver", "silvery", "steel gray", "greyish", "grayish", "charcoal gray", "light gray", "dark gray", "gunmetal",
        "stone gray", "dove gray", "dull gray", "metallic", "iron gray", "cement gray", "concrete-colored", "lead", "drab", "battleship gray",
        "gray-painted", "smoke-colored", "platinum", "tin",
    ),
}  # fmt: skip
COLOURS = {name: phrases + tuple(f"{thing}-colored" for thing in _COLORED[name].split()) for name, phrases in COLOURS.items()}

NOUNS = {
    "ball": (
        "bowling ball", "football", "soccer ball", "basketball", "beach ball", "bubble", "bead", "pearl", "round object", "tennis ball", "planet",
        "bauble", "round thing", "spherical object", "rubber ball", "balloon", "globule", "pellet", "ball bearing", "cannonball", "snooker ball",
        "round solid",
    ),
    "cube": (
        "die", "square block", "brick", "carton", "chest", "package", "parcel", "cubic block", "cuboid", "container", "casket", "toy block",
        "cubical box", "square box", "cardboard box", "trunk", "six-sided block", "wooden box", "building block", "cubic object", "case",
    ),
    "cone": (
        "party hat", "conical solid", "pointed cone", "spike", "cone shape", "conic", "road cone", "wizard hat", "pinecone", "conical object",
        "pointed hat", "tapered solid", "teepee", "sharp cone", "dunce cap",
    ),
    "cylinder": (
        "can", "tin can", "keg", "cask", "tube", "pipe", "roller", "canister", "cylindrical solid", "cylindrical object", "vat", "churn", "log",
        "mug", "bucket", "pail", "silo", "spool", "round block", "gas cylinder",
    ),
    "column": (
        "pole", "post", "shaft", "pilaster", "stele", "upright", "stone pillar", "greek column", "temple column", "standing beam", "pier",
        "totem pole", "mast", "doric column", "tall post", "tall pillar", "menhir", "colonnade", "support",
    ),
    "pyramid": (
        "egyptian pyramid", "step pyramid", "pharaoh's tomb", "pyramidal solid", "triangular monument", "aztec temple", "mayan temple",
        "great pyramid", "pointed tomb", "pyramid shape", "pyramidal monument", "giza pyramid", "four-sided point", "pyramidal tomb",
    ),
    "house": (
        "home", "residence", "building", "lodge", "mansion", "chalet", "shack", "barn", "shed", "country house", "family home", "ranch house",
        "homestead", "manor", "dollhouse", "shelter", "hovel", "farm", "bothy", "habitation", "domicile", "hostel", "inn", "small building",
        "gatehouse", "cot", "abode", "guesthouse", "town house", "beach house", "log cabin", "church", "stable", "pavilion", "school",
    ),
    "tree": (
        "birch", "beech", "elm", "willow", "apple tree", "pear tree", "linden", "leafy tree", "broad tree", "deciduous tree",
        "shade tree", "alder", "hazel tree", "plane tree", "olive tree", "old tree", "lone tree", "sycamore", "acacia",
        "eucalyptus", "plant with a trunk", "fig tree", "bonsai", "timber tree", "young tree", "hornbeam", "banyan",
    ),
    "tower": (
        "spire", "steeple", "bell tower", "minaret", "donjon", "stone tower", "fort", "castle", "skyscraper", "campanile", "water tower",
        "medieval tower", "ruined tower", "tall building", "stronghold", "high tower", "citadel", "clock tower", "bastion", "lookout tower",
        "guard tower", "wizard's tower", "chimney",
    ),
    "lighthouse": (
        "light house", "lighthouse tower", "harbor light", "coastal light", "navigation tower", "lightship tower", "seamark", "signal tower",
        "light tower", "harbor lighthouse", "old lighthouse", "striped tower", "maritime tower", "lamp tower by the sea",
    ),
    "rock": (
        "big stone", "cobble", "cliff", "lump of stone", "granite block", "stone block", "stone lump", "pebble", "cobblestone", "erratic", "rubble",
        "sandstone", "limestone", "rock formation", "huge stone", "mineral", "large rock", "standing stone", "reef", "meteorite", "basalt",
    ),
    "bench": (
        "wooden bench", "settle", "street bench", "church bench", "banquette", "stone bench", "bleacher", "picnic bench",
    ),
    "table": (
        "dining table", "kitchen table", "coffee table", "writing table", "counter", "wooden table", "tabletop", "side table", "trestle", "altar",
        "bureau", "breakfast table", "card table", "round table", "stand", "board on legs", "work surface", "drafting table",
    ),
    "bed": (
        "berth", "double bed", "single bed", "couchette", "four-poster", "bedstead", "futon", "sleeping place", "cradle", "hospital bed", "crib",
        "divan bed", "sickbed", "place to sleep", "pallet", "camp bed",
    ),
    "chair": (
        "dining chair", "wooden chair", "kitchen chair", "rocking chair", "throne", "folding chair", "easy chair", "office chair", "recliner",
        "high chair", "straight chair", "swivel chair", "wicker chair", "deck chair",
    ),
    "wardrobe": (
        "clothes closet", "dresser", "cupboard with doors", "clothes press", "chest of drawers", "sideboard", "hutch", "storage cabinet", "garderobe",
        "clothing cabinet", "tall cabinet", "wooden closet", "highboy", "linen cupboard", "fridge", "china cabinet",
    ),
    "shelf": (
        "shelving", "shelves", "bookshelves", "ledge", "bookstand", "storage shelf", "wall unit", "library shelf", "whatnot", "wooden shelf",
        "shelf with books", "etagere", "store shelf", "shelf unit", "book stand", "pantry shelf",
    ),
    "sofa": (
        "divan", "chesterfield", "davenport", "lounge", "ottoman", "couch with cushions", "daybed", "leather sofa", "sectional", "corner sofa",
        "sleeper sofa", "chaise longue", "soft sofa", "squab", "three-seater",
    ),
    "lamp": (
        "light", "reading lamp", "table lamp", "light fixture", "lampstand", "streetlight", "lamppost", "candle", "torch", "spotlight",
        "electric light", "light bulb", "candelabrum", "nightlight", "luminaire", "halogen lamp",
    ),
}  # fmt: skip

GROUND = {
    "grass": (
        "in the grass", "on grassland", "on a green", "in a park", "in a garden", "on the steppe", "on a common", "on the pampas", "on a golf course",
        "in a clover field", "in farmland", "in a green valley", "on a grass field", "in tall grass", "in a paddock", "on lush pasture",
        "on a village green", "on a football pitch", "in the green", "on a sward", "in rural land", "on the plains", "on the veld", "in a hayfield",
        "in a wheat field", "on heath", "on moorland", "in greenery", "in the fields", "in nature",
    ),
    "sand": (
        "on a dune", "among dunes", "in the gobi", "in the kalahari", "in the mojave", "on desert sand", "in a sandbox", "in a wilderness of sand",
        "on hot sand", "in the dry desert", "in dry land", "on mars", "in the outback", "in egypt", "in arabia", "in a dry place",
        "in a parched land", "on sandy ground", "in the dunes", "on golden sand", "in the negev", "in drought", "on a sandbank", "in the badlands",
        "in death valley",
    ),
    "snow": (
        "in winter", "on ice", "on a glacier", "in the antarctic", "in siberia", "in greenland", "in alaska", "on frozen ground",
        "in a cold white land", "on the icecap", "on an ice field", "on a frozen lake", "in a blizzard", "in fresh powder", "in lapland",
        "in the cold", "on a ski slope", "in a snowdrift", "at the north pole", "at the south pole", "in wintertime", "on a frosted field",
        "in freezing weather", "at christmas", "in january", "on permafrost", "on frost",
    ),
    "dirt": (
        "on the ground", "on plowed land", "on clay", "on dry earth", "on a dirt field", "on a bare field", "on dust", "on dusty ground",
        "on plowed earth", "on peat", "on the earth", "on fallow land", "on stripped land", "on cracked earth", "in the mire",
        "on sod", "on a construction site", "on naked ground", "in dirt", "on silt", "on dark earth", "on a potato field", "on compost",
    ),
    "stone": (
        "on rock", "on rocks", "on stone", "on gravel", "on pebbles", "on granite", "on cobblestones", "on concrete", "on paving", "on pavement",
        "on a boulder field", "on scree", "on a rocky surface", "on asphalt", "on lava rock", "on the moon", "on basalt", "on shale", "on tiles",
        "on cement", "on flagstones", "on hard ground", "on rubble", "on limestone", "in a stone desert", "on a plaza", "on a parking lot",
    ),
    "water": (
        "in the pacific", "in the atlantic", "on the high seas", "on a lake", "in a harbor", "on the waves", "in water", "at sea", "in a strait",
        "in a gulf", "in the mediterranean", "on a pond", "in a fjord", "in a flood", "on a river", "in deep water", "on rippling water",
        "on the surf", "in shallow water", "in the baltic", "on the deep", "in a reservoir", "offshore", "on a swell", "in the tropics sea",
        "in a marina",
    ),
}  # fmt: skip

SKY = {
    "clear": (
        "in sunlight", "on a bright day", "in broad daylight", "at midday", "under the sun", "on a clear day", "in fine weather", "on a summer day",
        "in summer", "under an azure sky", "in the sun", "on a cloud-free day", "in full sun", "during the day", "on a glorious day", "by day",
        "in the daytime", "under a bright sky", "in good weather", "on a hot day", "in beautiful weather", "in july", "under an open sky",
        "in the heat",
    ),
    "cloudy": (
        "with clouds", "on a cloudy day", "under clouds", "with white clouds", "with puffy clouds", "with scattered clouds",
        "under a sky full of clouds", "with clouds above", "on a day with some clouds", "with cotton clouds", "under billowing clouds",
        "with a few clouds", "in changeable weather", "with cloud banks", "with cirrus clouds", "under cloud cover", "with fleecy clouds",
        "on a windy day", "in april weather",
    ),
    "sunset": (
        "at eventide", "at the close of day", "in the setting sun", "under a red sky", "at the end of the day", "in the afterglow", "at the gloaming",
        "in the late evening", "under a burning sky", "with a setting sun", "during sunset", "with the sun going down", "at day's end",
        "in the red evening", "under a flaming sky", "as the sun sets", "in evening twilight", "in the sunset", "before dark", "at vespers",
    ),
    "sunrise": (
        "at first light", "in the morning", "at the break of day", "as the sun rises", "with a rising sun", "in the rising sun",
        "at the crack of dawn", "in morning light", "during sunrise", "early in the day", "at sunup", "in the dawn", "at an early hour",
        "as day breaks", "in the morning glow", "in the aurora of morning", "before breakfast",
    ),
    "overcast": (
        "on a dull day", "in bad weather", "under a dark sky of clouds", "on a rainy day", "in the rain", "on a dismal day", "in cloudy gray weather",
        "in drizzle", "under a gray sky", "under rain clouds", "on a dark day", "in stormy weather", "under heavy clouds", "in november",
        "in dim weather", "on a sunless day", "in bleak weather", "under a cheerless sky", "under low clouds", "in somber weather",
        "under a blanket of clouds", "in a storm",
    ),
    "night": (
        "in the night", "in the dark", "after dark", "in darkness", "by starlight", "under a black sky", "late at night", "in the dead of night",
        "with stars", "with a starlit sky", "in the small hours", "in the blackness of night", "during the night", "with twinkling stars",
        "in pitch darkness", "when it is dark", "under the night sky", "with a starry sky", "overnight", "at bedtime", "under distant stars",
    ),
    "fog": (
        "in mist", "in dense fog", "in misty weather", "in a fog bank", "shrouded in mist", "in morning fog", "in smoke", "in smog", "veiled in fog",
        "in a cloud", "wrapped in fog", "in thick mist", "with low visibility", "in steam", "surrounded by fog", "in autumn fog",
        "in pea soup fog", "lost in the fog", "in a veil of mist", "with mist everywhere", "in brume",
    ),
    "golden": (
        "in warm light", "in low golden sun", "in evening sun", "in glowing light", "in amber light", "in late light", "with warm sunlight",
        "in mellow light", "in the last sun", "with long shadows", "in golden sunlight", "in soft warm light", "bathed in gold", "in slanting light",
        "in autumn light", "in sunny evening light", "in tender golden light",
    ),
}  # fmt: skip

LAND = {
    "mountains": (
        "peaks", "summits", "a mountain range", "high peaks", "alpine mountains", "the rockies", "the himalayas", "a sierra", "high mountains",
        "steep mountains", "mountain tops", "the andes", "massifs", "highlands", "a mountain chain", "ridges", "cliffs", "volcanoes", "the caucasus",
        "mount everest", "a mountainous skyline", "jagged peaks", "an alpine panorama", "the pyrenees",
    ),
    "hills": (
        "rolling hills", "low hills", "hillsides", "gentle slopes", "mounds", "knolls", "rises", "foothills", "downs", "hillocks", "undulating land",
        "slopes", "soft hills", "round hills", "hummocks", "a hilly landscape", "a hill", "moraines", "uplands",
    ),
    "trees": (
        "woods", "a forest", "some trees", "woodland", "a wood", "leafy trees", "a copse", "a thicket", "a jungle", "an orchard", "many trees",
        "forests", "birches", "beeches", "a grove", "timber", "deciduous trees", "a rainforest", "greenwood", "a park with trees", "a stand of trees",
    ),
    "fir trees": (
        "spruces", "pines", "evergreens", "coniferous trees", "firs", "needle trees", "christmas trees", "a pinewood", "larches", "cedars",
        "spruce trees", "a coniferous forest", "a taiga", "a fir wood", "conifers",
    ),
    "the sea": (
        "the ocean", "a big sea", "the open ocean", "the waves", "the high seas", "an expanse of water", "the pacific", "the atlantic", "salt water",
        "the deep sea", "the mediterranean", "the briny deep", "endless water", "the deep blue", "an inland sea", "the seven seas",
    ),
    "a beach": (
        "a seashore", "a sandy shore", "the coast", "a strand", "a seaside", "a shoreline", "a coastline", "the seafront", "a waterfront",
        "a tropical beach", "a cove", "an island", "a riviera", "a sandy bank by the sea", "a holiday beach", "the shore",
    ),
    "a lake": (
        "a pond", "a mountain lake", "a tarn", "a reservoir", "a loch", "a pool", "a body of water", "a lakeside", "a millpond", "still water",
        "a mere", "a small lake", "a waterhole",
    ),
    "a meadow": (
        "grass", "a pasture", "a lawn", "a green field", "a park", "green land", "a grassy place", "a lea", "a grassland", "a prairie", "the plains",
        "farmland", "a steppe", "a green", "a field of flowers", "a village green", "rangeland",
    ),
    "a desert": (
        "sand", "dunes", "a sandy place", "a dry desert", "a wilderness", "a sand sea", "the gobi", "a dry land", "the kalahari", "badlands",
        "an empty quarter", "the outback", "a sandy waste", "a scorched land",
    ),
    "a snowy plain": (
        "snow", "an ice field", "a frozen land", "a winter scene", "a glacier", "antarctica", "a white landscape", "an icy land", "a snowfield",
        "a wintry landscape", "deep snow", "a cold white land", "siberia", "winter wonderland",
    ),
}  # fmt: skip
"""By a phrase of captions, others for it."""

DETAILS = {
    "with a road": (
        "with a street", "with a highway", "by a roadside", "with a lane", "with a motorway", "along a road", "with a paved way", "with an avenue",
    ),
    "with a path": (
        "with a trail", "with a footpath", "with a track", "by a lane", "with a walkway", "with a hiking trail", "along a pathway", "with an alley",
    ),
    "with a fence": (
        "with a picket fence", "with a palisade", "with railings", "with a wooden railing", "with a paling", "fenced in", "with a hurdle",
    ),
    "with a stone wall": ("with a rampart", "with a drystone wall", "with masonry", "with a stone barrier", "walled off", "with an old wall"),
    "with rocks": ("with boulders", "with stones", "strewn with rocks", "with rubble", "with scattered stones", "with big stones", "with pebbles"),
    "with bushes": ("with shrubs", "with shrubbery", "with undergrowth", "with brush", "with hedges", "with scrub", "with small plants"),
    "on the left": (
        "at the left", "left of center", "on the left-hand side", "to the left side", "leftmost", "in the left half", "on the viewer's left",
    ),
    "in the middle": (
        "at the center", "centered", "in the midst", "in the heart of the picture", "in the very middle", "at the midpoint", "in central position",
    ),
    "on the right": (
        "at the right", "right of center", "on the right-hand side", "to the right side", "rightmost", "in the right half", "on the viewer's right",
    ),
    "next to": (
        "by the side of", "adjacent to", "alongside", "close to", "by", "neighboring", "together with", "not far from", "besides", "close by",
    ),
    "large": (
        "enormous", "giant", "gigantic", "immense", "massive", "great", "oversized", "colossal", "towering", "sizable", "mighty", "vast", "grand",
    ),
    "small": ("miniature", "mini", "compact", "petite", "diminutive", "wee", "minute", "undersized", "baby", "toy", "short", "modest", "slight"),
}  # fmt: skip
"""By a phrase of captions, others for it."""

STYLES = {
    "low poly": (
        "polygonal", "faceted", "low-polygon", "simple 3d", "flat colored", "papercraft", "low detail 3d", "geometric style", "game art",
        "cel-shaded",
    ),
    "line drawing": (
        "sketch", "pencil sketch", "ink sketch", "pencil drawing", "contour drawing", "doodle", "etching", "outlines only", "engraving", "line art",
    ),
    "seen from above": ("from the sky", "from a drone", "drone view", "top-down view", "from a plane", "from a balloon", "looking down"),
    "from a low angle": ("from below", "from the ground", "looking up", "from an ant's view", "worm's-eye view", "from a frog's perspective"),
    "wide-angle": ("fisheye-like", "panoramic", "with a wide lens", "very wide view", "in wide format", "ultra wide"),
    "zoomed in": ("close-up", "with a long lens", "from far away with a zoom", "magnified", "in close-up", "with a tele lens", "detail shot"),
}  # fmt: skip
"""By a phrase of captions, others for it."""

WRAPPINGS = (
    "i would like to see {}", "could you draw {}", "can you paint {} for me", "let me see {}", "i need {}", "imagine {} for my film", "{} for a video game",
    "the view shows {}", "my scene has {}", "let's have {}", "how about {}", "i dream of {}", "somewhere there is {}", "once upon a time there was {}",
    "generate {}", "create {}", "draw {}", "paint {}", "render {}", "build {}", "a stunning shot of {}", "an amazing painting of {}", "a matte painting of {}",
    "a backdrop with {}", "a set with {}", "in this image there is {}", "{}, award winning", "{}, trending", "{}, in high resolution", "{} as a movie still",
    "{}, masterpiece, best quality", "a lonely place: {}", "concept art: {}", "{}, sharp focus", "{} in unreal engine", "{}, octane render", "wallpaper of {}",
    "scenery with {}", "one can see {}", "behold {}", "depicts {}", "story about {}", "{} please, thank you", "the hero finds {}", "a child looks at {}",
    "today i saw {}", "we drove past {}", "{} where nobody lives", "a dreamlike {}", "a postcard of {}", "a film set of {}", "establishing shot of {}",
)  # fmt: skip
"""Free sentences around what is to be seen."""

TAUGHT_WORDS = {"colour": COLOURS, "noun": NOUNS, "ground": GROUND, "sky": SKY}
"""What prompts can be reworded with, as with `HELD_OUT_WORDS`."""

"""Lists of words. About one in seven words is kept for the test split (see `words.held`)."""

from __future__ import annotations


def single(text: str) -> tuple[str, ...]:
    """Words with blanks between them."""
    return tuple(text.split())


def phrases(text: str) -> tuple[str, ...]:
    """Phrases with bars between them."""
    return tuple(part.strip() for part in text.split("|"))


COMMON = single(
    """
    about above across after again against air all almost along also always among and animal answer any apple area arm
    around art ask away baby back bag ball bank bar base basket bath beach bean bear beat bed begin behind bell below
    best better between bicycle big bird black blanket block blood blow blue board boat body bone book border both
    bottle bottom box branch brave bread break breath bridge bright bring broken brother brown brush build burn bus
    busy butter button buy cabin cake calm camera camp candle candy car card care carry case castle cat catch cause
    ceiling center chain chair chance change cheap cheese chest chicken child choice church circle city class clean
    clear clever climb clock close cloth cloud coal coast coat coffee cold color comb come common cook cool copper copy
    corn corner cotton count country course cover cow cream cross crowd cruel cry cup current curtain curve cushion cut
    damage dance danger dark daughter day dear debt deep degree desert desk detail device dinner direct dirty dish
    divide doctor dog door double doubt down dream dress drink drive drop dry duck dust each ear early earth east easy
    edge effect egg eight electric empty end engine enough equal error even evening event every exact exit eye face
    fact fall false family far farm fast father fear feather feel field fight find finger fire first fish five fix flag
    flame flat flight floor flower fly fold follow food foot force forest fork form forward four fox frame free fresh
    friend front frost fruit full funny future game garden gas gate gentle get giant gift girl give glass glove go goat
    gold good grain grass gray great green ground group grow guide hair half hall hammer hand happy harbor hard harvest
    hat have hay head heart heat heavy height help hen here hidden high hill hold hole home honest honey hook hope horn
    horse hot hotel hour house how human hundred hunt ice idea inch ink inside iron island jacket jelly jewel join
    journey judge juice jump jungle just keep kettle key kick kind king kiss kitchen knee knife knot know ladder lake
    lamp land large last late laugh law layer lazy lead leaf learn leather left lemon lesson letter level library light
    like limit line lion lip list little live local lock long look loose lost loud love low lucky lunch machine magic
    mail main make map mark market mask master match matter meal measure meat medal meet melon member memory metal
    middle milk mill mind minute mirror mixed model money monkey month moon morning mother motor mountain mouse mouth
    move mud music nail name narrow nation nature near neck need needle nest net never new news next nice night nine
    noise north nose note nothing number nurse oak ocean off office often oil old onion only open orange order other
    out oven over owl own oxygen page paint pair palace pan paper parcel park part party pass past path payment peace
    pearl pen pencil people pepper piano picture piece pig pillow pilot pin pink pipe place plan plane plant plate play
    please plenty pocket poem point polish poor port possible pot potato powder power present press price print prize
    problem proud public pull pump pure purple push quality quarter queen quick quiet quite rabbit radio rail rain
    range rapid raw reach read ready real reason record red regular rent repeat report reward rice rich right ring ripe
    river road rock roof room root rope rough round rubber rule run sad safe sail salt same sand scale school science
    sea seat second secret seed send sense seven shade shake shallow shape share sharp sheep shelf shine ship shirt
    shoe shop short shout show shut side sign silent silk silver simple sing single sister six size skin sky sleep slip
    slow small smart smell smile smoke smooth snail snake snow soap sock soft soil some song soon sort sound soup south
    space spade special speed spider spoon spring square stage stamp stand star station steam steel stem step stiff
    still stone stop store storm story straight strange street strong such sudden sugar summer sun supply surprise
    sweet swim switch system table tail take talk tall taste tax taxi teach team ten tent test thank that thick thin
    thing think thousand three throat thumb thunder ticket tiger tight time tin tired toe together tomato tomorrow
    tongue tool tooth top touch tower town toy trade train travel tray tree trick trip trouble true trunk turn twist
    two umbrella uncle under unit up use useful valley value velvet very view village violet visit voice vote wait walk
    wall want warm wash waste watch water wave wax way weather week weight well west wet whale wheat wheel when where
    while whistle white wide wild wind window wine wing winter wire wise with wolf woman wonder wood wool word work
    world worm wrong yard year yellow yes yesterday young zebra zero zone
    """
)

FIRST_NAMES = single(
    """
    Ada Adam Alan Alba Alice Amara Amir Ana Andre Anna Anton Arthur Aisha Ben Bella Boris Bruno Carla Carlos Cedric
    Chloe Clara Colin Dana Daniel Daria David Diego Dora Edith Elena Elias Ella Emil Emma Enzo Erik Esther Eva Farid
    Felix Fiona Frank Freya George Gina Greta Gustav Hana Hannah Hassan Hector Helen Henry Hugo Ida Igor Ines Ingrid
    Iris Isaac Ivan Jack Jana Jane Jason Joana Joel John Jonas Julia Kai Karen Karl Kate Kenji Kira Laila Lars Laura
    Lena Leo Liam Lily Linda Lola Louis Lucas Lucy Luis Mabel Marco Maria Martin Mary Maya Mei Mila Mina Mona Nadia
    Naomi Nina Noah Nora Olaf Olga Oliver Omar Oscar Otto Paula Pedro Peter Petra Priya Quinn Rachel Ralf Ravi Rita
    Robert Rosa Ruth Sam Sara Simon Sofia Stefan Susan Tariq Tessa Theo Tina Tom Uma Ursula Vera Victor Viola Walter
    Wanda Xenia Yara Yusuf Zara Zoe
    """
)

SURNAMES = single(
    """
    Abbott Adler Alvarez Anders Archer Baker Barros Becker Bell Bennett Berger Bishop Blake Bond Brandt Brooks Burke
    Carter Castro Chan Chen Clarke Cohen Cole Costa Cruz Dalton Davis Delgado Diaz Dixon Dubois Duncan Ellis Evans
    Farmer Ferrari Fischer Fletcher Flores Foster Fox Franco Fuchs Garcia Gibson Gomez Graham Grant Gray Green Gupta
    Hale Hansen Harris Hayes Hill Hoffman Holt Hughes Hunter Ibrahim Ito Jansen Jensen Jones Kaiser Kaplan Keller Kelly
    Khan Kim King Klein Kovacs Kramer Kumar Lane Larsen Lee Lewis Lopez Lund Maier Marsh Mason Meyer Miller Molina
    Moreau Morgan Mori Murphy Nash Nelson Nguyen Novak Olsen Ortega Owens Palmer Park Patel Perez Peters Petrov Pope
    Quist Ramos Reed Reyes Rhodes Ritter Rivera Rossi Rowe Russo Ryan Santos Sato Schmidt Scott Shaw Silva Singh Smith
    Sokolov Stein Stone Suzuki Tanaka Taylor Thomas Torres Turner Vargas Vega Vogel Wagner Walker Wallace Ward Watson
    Weber West White Wilson Wolf Wong Wood Wright Yamada Young Zeller Zhang Ziegler
    """
)

PRODUCTS = phrases(
    """
    Apples|Bananas|Oranges|Lemons|Grapes|Pears|Plums|Cherries|Melon|Tomatoes|Carrots|Onions|Potatoes|Spinach|Lettuce|
    Garlic|Mushrooms|Pepper|Cucumber|Broccoli|Milk|Butter|Cheese|Yogurt|Cream|Eggs|Bread|Rolls|Bagel|Croissant|Muffin|
    Donut|Cookies|Cake|Pie|Rice|Pasta|Noodles|Flour|Sugar|Salt|Honey|Jam|Cereal|Oats|Beans|Lentils|Soup|Salad|Sandwich|
    Burger|Fries|Pizza|Taco|Burrito|Sushi|Steak|Chicken|Turkey|Ham|Bacon|Sausage|Salmon|Tuna|Shrimp|Coffee|Tea|
    Espresso|Latte|Cappuccino|Juice|Lemonade|Cola|Water|Soda|Beer|Wine|Cider|Chocolate|Candy|Chips|Popcorn|Nuts|
    Raisins|Olives|Olive oil|Vinegar|Mustard|Ketchup|Soap|Shampoo|Toothpaste|Towel|Tissues|Sponge|Batteries|Candle|
    Light bulb|Pen|Pencil|Notebook|Envelope|Stapler|Scissors|Tape|Glue|Marker|Paper|Folder|Calendar|Cable|Charger|
    Headphones|Mouse|Keyboard|Lamp|Mug|Plate|Bowl|Fork|Spoon|Knife|Pan|Kettle|Umbrella|Hat|Scarf|Gloves|Socks|T-shirt|
    Jeans|Jacket|Shoes|Belt|Wallet|Backpack|Sunscreen|Postcard|Magazine|Newspaper|Map|Ticket|Flowers|Plant pot|Rope|
    Nails|Screws|Hammer|Paint|Brush|Bucket|Broom|Seeds|Dog food|Cat food|Green tea|Iced tea|Apple pie|Hot dog|
    Ice cream|Fish soup|Red wine
    """
)

SHOPS = phrases(
    """
    Market|Bakery|Cafe|Grocery|Deli|Books|Pharmacy|Hardware|Kitchen|Bistro|Pizza|Diner|Store|Mart|Foods|Garden|Sports|
    Toys|Flowers|Shoes|Fashion|Electronics|Music|Coffee|Tea House|Supermarket|Grill|Bar|Stationery|Outlet|Corner|
    Express
    """
)

CITIES = single(
    """
    Accra Amsterdam Athens Austin Bangkok Barcelona Basel Bergen Berlin Bogota Boston Bristol Brussels Budapest Cairo
    Chicago Cork Dakar Dallas Delhi Denver Dublin Florence Geneva Genoa Glasgow Hamburg Hanoi Havana Helsinki Istanbul
    Jakarta Kyoto Lagos Leeds Leipzig Lima Lisbon London Lyon Madrid Malaga Manila Marseille Miami Milan Montreal
    Moscow Munich Nairobi Naples Nice Osaka Oslo Ottawa Oxford Paris Phoenix Porto Prague Quito Riga Rome Rotterdam
    Salzburg Santiago Seattle Seoul Seville Sofia Stockholm Sydney Tallinn Tokyo Toronto Trieste Tunis Turin Utrecht
    Valencia Vienna Vilnius Warsaw York Zagreb Zurich
    """
)

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

UNITS = (
    "kg",
    "g",
    "km",
    "m",
    "cm",
    "mm",
    "L",
    "ml",
    "%",
    "MB",
    "GB",
    "kWh",
    "W",
    "V",
    "pcs",
    "min",
    "h",
    "s",
    "lb",
    "oz",
)

STREETS = ("Street", "Road", "Avenue", "Lane", "Square", "St.", "Ave", "Rd", "Drive", "Way")

SIGNS = phrases(
    """
    STOP|EXIT|OPEN|CLOSED|PUSH|PULL|SALE|TAXI|BUS STOP|NO PARKING|NO ENTRY|ONE WAY|SLOW|CAUTION|DANGER|WARNING|HOTEL|
    POLICE|PHARMACY|BAKERY|CAFE|PARKING|TOILETS|INFORMATION|TICKETS|ENTRANCE|WAY OUT|KEEP LEFT|KEEP RIGHT|WET FLOOR|
    NO SMOKING|SCHOOL|HOSPITAL|LIBRARY|MUSEUM|STATION|AIRPORT|FOR RENT|FOR SALE|PRIVATE|WELCOME|PLEASE WAIT|PAY HERE|
    FREE WIFI|OUT OF ORDER|RESERVED|STAFF ONLY|DEAD END|DETOUR|SPEED LIMIT|BEWARE OF DOG|FRESH FISH|ICE CREAM|LOST CAT
    """
)

ADJECTIVES = single(
    """
    old new small large red green blue quiet loud bright dark heavy light warm cold happy lazy clever strange broken
    open empty narrow wooden golden silver fresh sweet slow fast
    """
)

NOUNS = single(
    """
    dog cat bird horse farmer teacher doctor sailor baker child river bridge house garden train boat window door table
    lamp clock letter book apple lemon cloud storm market village station castle tower forest road picture ticket key
    """
)

VERBS = single(
    """
    sees finds keeps opens closes carries follows paints sells buys draws breaks fixes cleans holds loses moves hides
    likes needs reads watches brings covers turns pulls
    """
)

PLACES = phrases(
    """
    near the river|behind the house|in the garden|at noon|before dinner|after the storm|on Monday|every morning|
    by the sea|under the bridge|next to the door|in the city|without a word|at night|since May|for two days|in 1984|
    with great care
    """
)

BUTTONS = phrases(
    """
    OK|Cancel|Save|Delete|Close|Apply|Back|Next|Yes|No|Send|Retry|Open|Edit|Share|Print|Help|Submit|Continue|
    Install|Log in|Sign up|Search|Skip|Done|Accept|Decline|Update|Reset|Start|Stop|Add|Remove|Copy|Undo|Later
    """
)

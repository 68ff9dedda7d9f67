"""Made-up people and places of the virtual provider.

Phone numbers stand in blocks that the Bundesnetzagentur keeps free for films, with digits added: nobody has them.
"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    "Anna Bernd Claudia Dieter Elif Frank Gisela Hans Ines Jens Karin Lukas Maria Niklas Olga Peter Renate Stefan "
    "Tanja Uwe Vera Walter Yusuf Zoe Aylin Björn Christa Detlef Emma Felix Greta Holger Ida Jürgen Katja Leon Mia "
    "Norbert Petra Ralf Sabine Thomas Ulrike Volker Wiebke Jörg Käthe Sören"
)
LAST_NAMES = _words(
    "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch Bauer Richter Klein Wolf "
    "Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Werner Schmitz Krause Lehmann Köhler "
    "Maier Herrmann König Walter Mayer Huber Kaiser Fuchs Peters Lang Scholz Möller Weiß Jung Hahn Schubert Vogel "
    "Friedrich Keller Günther Frank Berger Winkler Roth Beck Lorenz Baumann Franke Albrecht Schuster Simon Ludwig "
    "Böhm Winter Kraus Martin Yılmaz Kowalski Nowak Demir Kaya"
)
STREETS = _words(
    "Ahornweg Amselgasse Bachstraße Bahnhofstraße Bergweg Birkenallee Blumenstraße Brunnengasse Buchenweg Burgstraße "
    "Dorfplatz Eichenweg Erlenweg Feldstraße Fichtenweg Fliederweg Gartenstraße Goethestraße Hauptstraße Heideweg "
    "Hochstraße Kastanienallee Kirchgasse Kirschweg Lerchenweg Lindenstraße Marktplatz Meisenweg Mühlenweg "
    "Mozartstraße Nelkenweg Parkstraße Poststraße Ringstraße Rosenweg Schillerstraße Schloßstraße Schulstraße "
    "Seestraße Sonnenweg Talstraße Tulpenweg Ulmenweg Waldstraße Weinbergweg Wiesenweg Ziegelgasse Angerweg"
)
REGIONS = _words("north south west east centre lakes hills coast valley heath forest river border harbour plains moor")
CITIES = _words(
    "Nordhafen Südlingen Westerau Ostheim Mittelstadt Seefelden Bergkirchen Küstrow Talheim Heidenau Waldkappel "
    "Flußbach Grenzhausen Hafenau Ebenfeld Moordorf"
)
PHONE_BLOCKS = ("+49 30 23125", "+49 69 90009", "+49 40 66969", "+49 221 4710", "+49 89 99998")

# model: share of its technology, firmware versions (newest last), prefix of its serial numbers
GPON_CPES = (
    ("AX200", 0.40, ("7.0", "7.1"), "AXA"),
    ("HG8245", 0.30, ("3.15", "3.17"), "HWT"),
    ("F5530", 0.20, ("8.02", "8.03"), "AVM"),
    ("ONT-G2", 0.10, ("1.9", "2.0", "2.1"), "ONG"),
)
DSL_CPES = (
    ("VX7590", 0.55, ("7.57", "8.02"), "AVD"),
    ("SP-W925", 0.45, ("010137", "010138"), "SPW"),
)
GPON_PRODUCTS = ((100, 50), (300, 150), (600, 300), (1000, 500))
DSL_PRODUCTS = ((50, 10), (100, 40), (175, 40))

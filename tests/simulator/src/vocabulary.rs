//! The words that generated records consist of. All people and companies are invented.

pub(crate) const FIRST_NAMES: &[&str] = &[
    "Aaliyah",
    "Benedikt",
    "Chiara",
    "Dmitri",
    "Eiríkur",
    "Fatima",
    "Gabriel",
    "Hye-jin",
    "Ingrid",
    "João",
    "Katarzyna",
    "Liam",
    "María José",
    "Noor",
    "Oluwaseun",
    "Priya",
    "Quentin",
    "Renée",
    "Søren",
    "Takumi",
    "Uma",
    "Viktória",
    "Wei",
    "Ximena",
    "Yusuf",
    "Zoë",
    "محمد",
    "שירה",
    "伟",
    "さくら",
];

pub(crate) const LAST_NAMES: &[&str] = &[
    "Almeida",
    "Bjørnsen",
    "Çelik",
    "D'Angelo",
    "Eriksson",
    "Fernández",
    "Grüneberg",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kowalczyk",
    "Le Goff",
    "McAllister",
    "Nakamura",
    "O'Brien",
    "Park",
    "Quispe",
    "Rosenberg",
    "Şahin",
    "Tanaka",
    "Ursache",
    "van der Berg",
    "Wójcik",
    "Xu",
    "Yılmaz",
    "Zimmermann",
    "الأحمد",
    "כהן",
    "王",
    "Smith \"Smitty\" Jones",
];

pub(crate) const COMPANY_HEADS: &[&str] = &[
    "Acorn",
    "Blauwal",
    "Cedar & Pine",
    "Delta",
    "Éclair",
    "Fjord",
    "Granite",
    "Hibiscus",
    "Ion",
    "Juniper",
    "Kestrel",
    "Lumen",
    "Meridian",
    "Northwind",
    "Opal",
    "Pelican",
    "Quartz",
    "Rowan",
    "Sable",
    "Tern",
];

pub(crate) const COMPANY_TAILS: &[&str] = &[
    "Analytics",
    "Bakeries",
    "Clinics",
    "Design Ltd.",
    "Energy GmbH",
    "Foods",
    "Group",
    "Health",
    "Industries",
    "Logistics S.A.",
    "Mobility",
    "Networks",
    "Optics",
    "Press",
    "Retail",
    "Systems",
];

pub(crate) const CITIES: &[(&str, &str, &str, &str)] = &[
    ("Lisbon", "Lisboa", "Portugal", "1100-148"),
    ("München", "Bayern", "Germany", "80331"),
    ("Chennai", "Tamil Nadu", "India", "600017"),
    ("Austin", "TX", "United States", "78701"),
    ("São Paulo", "SP", "Brazil", "01310-100"),
    ("東京", "東京都", "Japan", "100-0001"),
    ("دبي", "Dubai", "United Arab Emirates", "00000"),
    ("תל אביב", "Tel Aviv", "Israel", "6100000"),
];

pub(crate) const INDUSTRIES: &[&str] =
    &["Retail", "Healthcare", "Logistics", "Education", "Manufacturing", "Software", "Public sector"];

pub(crate) const DEPARTMENTS: &[(&str, &str)] = &[
    ("Customer Support", "Questions of customers, first and second level"),
    ("Billing & Payments", "Invoices, refunds, \"late\" fees"),
    ("Technik (DACH)", "Störungen und Reparaturen"),
    ("خدمة العملاء", "قسم اللغة العربية"),
    ("R&D Escalations", "Third level; <engineering> only"),
    ("Field Service", "Visits on site"),
    ("Partners", "Resellers and integrators"),
    ("返品センター", "返品と交換"),
];

pub(crate) const PRODUCT_HEADS: &[&str] = &[
    "Aurora", "Bolt", "Compass", "Drift", "Echo", "Flux", "Gusto", "Harbor", "Iris", "Jetty", "Kite",
    "Lantern", "Mosaic", "Nimbus", "Orbit",
];

pub(crate) const PRODUCT_TAILS: &[&str] = &[
    "Router",
    "Thermostat",
    "Headset",
    "Tablet 10\"",
    "Scanner",
    "Printer",
    "Camera",
    "Sensor",
    "Dock",
    "Charger",
    "Speaker",
    "Gateway",
];

pub(crate) const SUBJECTS: &[&str] = &[
    "Cannot log in after the update",
    "Invoice {n} shows the wrong amount",
    "Order #{n} has not arrived 😟",
    "RE: RE: Fwd: warranty of serial {n}",
    "Screen flickers when \"night mode\" is on",
    "How do I export my data to C:\\exports\\{n}?",
    "Änderung der Lieferadresse für Auftrag {n}",
    "لم يصل الطلب رقم {n} حتى الآن",
    "החשבונית מספר {n} שגויה",
    "注文番号{n}の返品について",
    "Réclamation : colis nº {n} endommagé",
    "URGENT!!! production line {n} is down 🔥🔥",
    "Feature request: dark theme 🌙",
    "Refund for <b>double</b> charge & fees",
    "Battery drains within {n} minutes",
    "Password reset mail never arrives",
];

pub(crate) const SENTENCES: &[&str] = &[
    "Since the last update the device restarts every few minutes.",
    "I have attached a photo of the label; the serial number ends in {n}.",
    "Our colleague said: \"just restart it\", which did not help.",
    "The log says C:\\Program Files\\Agent\\error_{n}.log: access denied \\o/",
    "Please call me back before noon, I am traveling afterward ✈️.",
    "Die Lieferung kam unvollständig an, es fehlen {n} Teile.",
    "مرحباً، أواجه مشكلة في تسجيل الدخول منذ {n} أيام.",
    "שלום, המכשיר שלי אינו נדלק מאז אתמול.",
    "您好，我们的订单{n}还没有发货，请尽快处理。",
    "Line one\u{2028}line two of a pasted note\u{2029}and a third.",
    "Thank you for the quick answer yesterday 🙏🏽, it almost works now.",
    "We pay < 5 & expect > 99.9 % — that is what the contract says.",
    "Tab\tseparated\tvalues were lost on import, see rows 17\u{2013}{n}.",
    "Is there an API for this? Our script sends {\"retry\": true, \"n\": {n}}.",
];

pub(crate) const AGENT_SENTENCES: &[&str] = &[
    "Hello, thank you for writing to us. We are looking into it.",
    "Could you send us the serial number, please?",
    "The replacement left our warehouse today, tracking number {n}.",
    "We have refunded {n}.00 to your card; it takes up to 5 days.",
    "Solved with firmware 4.{n}. Please restart once.",
    "Internal: same as ticket {n}, waiting for R&D 🧪.",
    "Called the customer, no answer, left a message.",
];

pub(crate) const CHANNELS: &[(&str, &str)] =
    &[("Email", "EMAIL"), ("Web", "WEB"), ("Phone", "PHONE"), ("Chat", "CHAT"), ("Facebook", "FACEBOOK")];

pub(crate) const PRIORITIES: &[&str] = &["Low", "Medium", "High", "Urgent"];
pub(crate) const CATEGORIES: &[&str] = &["Delivery", "Defect", "Billing", "Questions/How-to", "Störung"];
pub(crate) const SUB_CATEGORIES: &[&str] = &["Sub A", "Sub B", "Sub \"C\""];
pub(crate) const CLASSIFICATIONS: &[&str] = &["Question", "Problem", "Feature", "Others"];
pub(crate) const LANGUAGES: &[&str] = &["English", "German", "Arabic", "Hebrew", "Japanese"];
pub(crate) const SENTIMENTS: &[&str] = &["POSITIVE", "NEUTRAL", "NEGATIVE"];

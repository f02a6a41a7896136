package mask

import "strings"

// streetTypes end the names of English-speaking streets (USPS Publication 28, appendix C1, has most of them), streetWords
// begin those of Romance and Slavic ones, streetLasts end those of others as words of their own, streetEnds
// are how the words of Germanic, Nordic and Hungarian ones end.
var (
	streetTypes = set(`Street St Road Rd Avenue Ave Av Lane Ln Drive Dr Boulevard Blvd Court Ct Place Pl Square Sq Terrace Ter Close Crescent Cres Parkway Pkwy Highway Hwy Way Walk Row Trail Trl Circle Cir Loop
		Pike Turnpike Tpke Crossing Path Plaza Alley Mews Grove Green Greens Heights Manor Bypass Causeway Expressway Freeway Motorway Esplanade Parade Rise Vale Wharf Quay Cove Estate Estates Meadow Meadows
		Ridge Glen Knoll Knolls Mall Str Junction Landing Springs Spur Track Viaduct Broadway Gardens Park`)
	streetWords = set(`rue Rue avenue Avenue Av av boulevard Boulevard Bd bd chemin Chemin allée Allée impasse Impasse quai Quai Route route cours Cours Place place Passage Calle calle Carrer Avenida avenida Avda
		Paseo Passeig Camino Carretera Ronda Plaza Plaça Rua rua Travessa Praça Alameda Estrada Rodovia Largo Via via Viale viale Vicolo vicolo Piazza piazza Piazzale Corso corso Strada Contrada Località
		Ulica ulica Ul ul Al al Aleja Plac Osiedle os Pod Nad Na Vila Odos Leoforos Λεωφόρος Οδός ул улица`)
	frenchStreets = set("rue Rue avenue Avenue boulevard Boulevard Bd bd chemin Chemin allée Allée impasse Impasse quai Quai Route route cours Cours Place place Rua rua")
	streetLasts   = set(`Straße straße Strasse strasse Str Weg weg Platz platz Allee Gasse Ring Damm straat weg plein laan gata gatan gate vei veien veg vegen vej gade gatu väg vägen plads plass torv torg terrasse allé
		katu tie kuja polku tee mnt pst tänav puiestee iela gatvė prospektas ulica ulice náměstí nám třída trg cesta put utca u út útja tér körút köz sor sétány fasor bulevar bulvár sokak caddesi Caddesi sokağı Sokak`)
	streetEnds = func() (t [256][]string) {
		for s := range set(`straße strasse str. weg platz allee gasse damm ufer chaussee stieg steig pfad graben straat laan plein gracht singel kade dijk dreef steeg gata gatan gade gaden stræde stræti vegur
			braut stígur gränd gränden stigen backen väg vägen vei veien veg vegen vej vejen plads torvet parken vænget toften krogen bakken svinget tun tún túni katu kuja polku raitti rinne utca`) {
			t[s[len(s)-1]] = append(t[s[len(s)-1]], s)
		}
		return t
	}()
	streetParticles = set("de del della delle dei degli dello di da das do dos du des la le les el los las en sur sous aux van der den het zu am im an auf v nad pod na y e i")
	unitWords       = set("Apt Apt. Apartment Suite Ste Ste. Unit Flat Floor Room Rm. # Box")
)

// streetFirsts are the letters that streetWords begin with.
var streetFirsts = func() (t [256]bool) {
	for w := range streetWords {
		t[w[0]] = true
	}
	return t
}()

// boxes stand before the number of a box, boxFirsts before "Box" and the like.
var (
	boxes     = set("PSC CMR Postfach Postbus Postboks Postlåda POB P.O.B. BP B.P. Apartado Casilla")
	boxFirsts = set("P.O. PO P.O O. Post Office Caixa Casella Boîte Apartado de GPO G.P.O.")
	military  = set("AA AE AP")
	ships     = set("USNS USS USCGC USNV Unit PSC CMR")
)

// whereWords and prepositions come before where somebody or something is.
var (
	whereWords   = newWords("located", "office", "address", "live", "living", "reside", "residing", "residence", "station", "restaurant", "house", "home", "shop", "store", "branch", "deliver", "ship", "moved", "moving", "stay", "meet", "visit", "headquarter", "based", "where", "wohn", "vive", "habit", "woon", "bor$", "adres", "direcc", "indirizz", "morada", "domicil")
	prepositions = set("at on in near to of from an am in en à a te på i w na ve u")
)

// countries have names of one word, or a word of those here, that ends an address.
var countries = func() map[string]bool {
	m := set(`Afghanistan Albania Algeria Andorra Angola Argentina Armenia Australia Austria Azerbaijan Bahamas Bahrain Bangladesh Barbados Belarus Belgium Belize Benin Bermuda Bhutan Bolivia Botswana Brazil Brunei
		Bulgaria Burundi Cambodia Cameroon Canada Chile China Colombia Congo Croatia Cuba Cyprus Czechia Denmark Djibouti Ecuador Egypt Eritrea Estonia Ethiopia Fiji Finland France Gabon Gambia Germany Ghana
		Greece Greenland Grenada Guam Guatemala Guinea Guyana Haiti Honduras Hungary Iceland India Indonesia Iran Iraq Ireland Israel Italy Jamaica Japan Kazakhstan Kenya Kosovo Kuwait Kyrgyzstan Laos Latvia
		Lebanon Lesotho Liberia Libya Liechtenstein Lithuania Luxembourg Macedonia Madagascar Malawi Malaysia Maldives Mali Malta Mauritania Mauritius Mexico Moldova Monaco Mongolia Montenegro Morocco
		Mozambique Myanmar Namibia Nepal Netherlands Nicaragua Nigeria Norway Oman Pakistan Panama Paraguay Peru Philippines Poland Portugal Qatar Romania Russia Rwanda Samoa Senegal Serbia Seychelles
		Singapore Slovakia Slovenia Somalia Spain Sudan Suriname Swaziland Sweden Switzerland Syria Taiwan Tajikistan Tanzania Thailand Togo Tunisia Turkey Turkmenistan Uganda Ukraine Uruguay
		Uzbekistan Vanuatu Venezuela Vietnam Yemen Zambia Zimbabwe Deutschland Österreich Schweiz Suisse Svizzera España Italia Belgique België Nederland Danmark Norge Sverige Suomi Polska Česko Slovensko Magyarország
		Hrvatska Slovenija Srbija România Türkiye Brasil México Perú Ísland Eesti Latvija Lietuva Kingdom Emirates Zealand Africa Korea Lanka Salvador Rica Rico Republic Arabia Greek USA UK U.S.A UAE`)
	for s := range m {
		m[strings.ToUpper(s)] = true
	}
	return m
}()

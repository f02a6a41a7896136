package mask

import "bytes"

// europeanIDs, by country. Sources are the public descriptions of the schemes; where an authority does
// not publish its check, the OECD's list of tax identification numbers (TIN country sheets) does.
var europeanIDs = []idRule{
	// AT, Sozialversicherungsnummer: ASVG § 31; the fourth digit checks the others.
	{forms: []string{"10", "4 6"}, words: newWords("svnr", "sv-nr", "sozialvers", "versicherungsnummer", "vsnr"), check: func(d []byte) bool {
		return d[0] != '0' && dayMonth(num(d[4:6]), num(d[6:8])) && weigh(d, 3, 7, 9, 0, 5, 8, 4, 2, 1, 6)%11 == at(d, 3)
	}},
	// BE, national register number: royal decree of 3 April 1984; 97 less the rest, with a 2 before it from 2000 on.
	{forms: []string{"11"}, strong: []string{"2.2.2-3.2"}, words: newWords("rijksregister", "registre national", "niss$", "insz$", "rrn$"), check: func(d []byte) bool {
		n, c := num(d[:9]), num(d[9:])
		return num(d[2:4]) <= 12 && num(d[4:6]) <= 31 && (97-n%97 == c || 97-(2e9+n)%97 == c)
	}},
	// BG, EGN: ordinance RD-02-20-9 of 2012; months of 1800 and 2000 are 20 and 40 higher.
	{forms: []string{"10"}, words: newWords("egn$", "егн"), check: func(d []byte) bool {
		return dayMonth(num(d[4:6]), num(d[2:4])%20) && weigh(d, 2, 4, 8, 5, 10, 9, 7, 3, 6)%11%10 == at(d, 9)
	}},
	// CH, AHV number: 756 and the check of EAN-13 (ZAS/CdC, "NAVS13").
	{forms: []string{"13"}, strong: []string{"3.4.4.2"}, words: newWords("ahv", "avs$", "navs"), check: func(d []byte) bool {
		return num(d[:3]) == 756 && weigh(d, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1)%10 == 0
	}},
	// CZ and SK, rodné číslo: act 133/2000; divisible by 11, women's months 50 higher.
	{forms: []string{"10", "6/4"}, words: newWords("rodn", "r.č", "rč$", "r. č", "birth number"), check: func(d []byte) bool {
		return dayMonth(num(d[4:6]), num(d[2:4])%50%20) && (num(d)%11 == 0 || num(d[:9])%11 == 10 && d[9] == '0')
	}},
	// DE, Steuer-Identifikationsnummer: § 139b AO; ISO 7064 MOD 11,10, one digit two or three times in the first ten.
	{forms: []string{"11", "2 3 3 3"}, words: newWords("idnr", "steuer", "identifikationsnummer", "tin$"), check: func(d []byte) bool {
		twice := 0
		for c := byte('0'); c <= '9'; c++ {
			if n := bytes.Count(d[:10], []byte{c}); n > 3 {
				return false
			} else if n > 1 {
				twice++
			}
		}
		return d[0] != '0' && twice == 1 && isoMod11(d)
	}},
	// DK, CPR: the check modulo 11 has not been kept since 2007 (CPR-kontoret), so a date and the word have to do.
	{forms: []string{"10", "6-4"}, words: newWords("cpr"), check: func(d []byte) bool { return dayMonth(num(d[:2]), num(d[2:4])) }},
	// EE, isikukood (EVS 585) and LT, asmens kodas: the same two rounds of weights.
	{forms: []string{"11"}, words: newWords("isikukood", "asmens kod"), check: func(d []byte) bool {
		c := weigh(d, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1) % 11
		if c == 10 {
			c = weigh(d, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3) % 11 % 10
		}
		return d[0] >= '1' && d[0] <= '8' && dayMonth(num(d[5:7]), num(d[3:5])) && c == at(d, 10)
	}},
	// ES, DNI and NIE: real decree 1553/2005; the letter is the rest modulo 23, X, Y, Z stand for 0, 1, 2.
	{forms: []string{"8A", "8-A", "A9999999A"}, words: newWords("dni$", "nie$", "nif$"), check: func(d []byte) bool {
		n := num(d[1:8])
		switch {
		case isDigit(d[0]):
			n += at(d, 0) * 1e7
		case d[0] < 'X':
			return false
		default:
			n += int(d[0]-'X') * 1e7
		}
		return d[8] == "TRWAGMYFPDXBNJZSQVHLCKE"[n%23]
	}},
	// FI, henkilötunnus: Digital and Population Data Services Agency; the rest modulo 31.
	{forms: []string{"6-4"}, strong: []string{"6-3A", "999999A999A", "999999A9999"}, words: newWords("hetu$", "henkil"), check: func(d []byte) bool {
		rest := d[6:]
		if len(d) == 11 {
			if d[6] != 'A' && d[6] != 'B' && d[6] < 'U' {
				return false
			}
			rest = d[7:]
		}
		return dayMonth(num(d[:2]), num(d[2:4])) && rest[3] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[(num(d[:6])*1000+num(rest[:3]))%31]
	}},
	// FR, NIR: INSEE, decree 82-103; 97 less the rest modulo 97.
	{strong: []string{"15", "13 2", "1 2 2 2 3 3 2"}, check: func(d []byte) bool {
		month := num(d[3:5])
		return d[0] >= '1' && d[0] <= '2' && month >= 1 && (month <= 12 || month >= 20 && month <= 42 || month >= 50) && 97-num(d[:13])%97 == num(d[13:])
	}},
	// GB, National Insurance number: HMRC manual NIM39110. It has no check, so its prefixes are looked at.
	{forms: []string{"AA999999A"}, words: newWords("nino$", "ni number", "ni no"), check: func(d []byte) bool { return nino(d[:2]) && d[8] >= 'A' && d[8] <= 'D' }},
	// GB, NHS number: NHS Data Dictionary; modulo 11.
	{forms: []string{"10", "3 3 4", "3-3-4"}, words: newWords("nhs"), check: func(d []byte) bool {
		return (11-weigh(d, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11)%11 == at(d, 9)
	}},
	// GR, AMKA: law 3655/2008; a date and Luhn's check.
	{forms: []string{"11"}, words: newWords("amka$", "αμκα"), check: func(d []byte) bool { return dayMonth(num(d[:2]), num(d[2:4])) && luhn(d) }},
	// GR, AFM: OECD TIN sheet; powers of two modulo 11.
	{forms: []string{"9"}, words: newWords("afm$", "αφμ"), check: func(d []byte) bool {
		return weigh(d, 256, 128, 64, 32, 16, 8, 4, 2)%11%10 == at(d, 8)
	}},
	// HR, OIB: OIB act (NN 60/08); ISO 7064 MOD 11,10.
	{forms: []string{"11"}, words: newWords("oib$"), check: isoMod11},
	// HU, TAJ: act LXXXIII of 1997; weights 3 and 7.
	{forms: []string{"9", "3 3 3", "3-3-3"}, words: newWords("taj$"), check: func(d []byte) bool { return weigh(d, 3, 7, 3, 7, 3, 7, 3, 7)%10 == at(d, 8) }},
	// HU, adóazonosító jel: OECD TIN sheet; begins with 8, modulo 11.
	{forms: []string{"10"}, words: newWords("adóazon", "adoazon", "adószám"), check: func(d []byte) bool {
		return d[0] == '8' && weigh(d, 1, 2, 3, 4, 5, 6, 7, 8, 9)%11 == at(d, 9)
	}},
	// IE, PPS number: Revenue, OECD TIN sheet; the rest modulo 23, a second letter weighs 9.
	{forms: []string{"9999999A", "9999999AA"}, words: newWords("pps"), check: func(d []byte) bool {
		sum := weigh(d, 8, 7, 6, 5, 4, 3, 2)
		if len(d) == 9 {
			sum += int(d[8]-'A'+1) * 9
		}
		return d[7] == "WABCDEFGHIJKLMNOPQRSTUV"[sum%23]
	}},
	// IS, kennitala: Registers Iceland; modulo 11, the century last.
	{forms: []string{"10", "6-4"}, words: newWords("kennitala", "kt$"), check: func(d []byte) bool {
		return dayMonth(num(d[:2])%40, num(d[2:4])) && (11-weigh(d, 3, 2, 7, 6, 5, 4, 3, 2)%11)%11 == at(d, 8) && (d[9] == '9' || d[9] == '0' || d[9] == '8')
	}},
	// IT, codice fiscale: ministerial decree of 23 December 1976.
	{strong: []string{"AAAAAA99A99A999A"}, check: codiceFiscale},
	// LV, personas kods: Cabinet regulation 93 of 2014. Numbers since 2017 begin with 32 and have no check.
	{forms: []string{"11", "6-5"}, words: newWords("personas kod", "pers. kod"), check: func(d []byte) bool {
		return num(d[:2]) == 32 || (1101-weigh(d, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))%11 == at(d, 10)
	}},
	// NL, burgerservicenummer: Rijksdienst voor Identiteitsgegevens; the "elfproef".
	{forms: []string{"9", "4.2.3", "3.3.3", "3 3 3"}, words: newWords("bsn$", "burgerservice", "sofi"), check: func(d []byte) bool { return weigh(d, 9, 8, 7, 6, 5, 4, 3, 2, -1)%11 == 0 }},
	// NO, fødselsnummer: Skatteetaten; two checks modulo 11, D numbers have days 40 higher.
	{forms: []string{"11"}, strong: []string{"6 5"}, words: newWords("fødsels", "fodsels", "fnr$", "d-nummer"), check: func(d []byte) bool {
		return dayMonth(num(d[:2])%40, num(d[2:4])%40) && weigh(d, 3, 7, 6, 1, 8, 9, 4, 5, 2, 1)%11 == 0 && weigh(d, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0
	}},
	// PL, PESEL: act of 24 September 2010; months tell the century.
	{forms: []string{"11"}, words: newWords("pesel"), check: func(d []byte) bool {
		return dayMonth(num(d[4:6]), num(d[2:4])%20) && weigh(d, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)%10 == 0
	}},
	// PT, NIF: OECD TIN sheet; modulo 11.
	{forms: []string{"9", "3 3 3"}, words: newWords("nif$", "contribuinte"), check: func(d []byte) bool {
		c := 11 - weigh(d, 9, 8, 7, 6, 5, 4, 3, 2)%11
		return c%11%10 == at(d, 8) && d[0] != '0'
	}},
	// RO, CNP: emergency ordinance 97/2005; modulo 11, ten counts as one.
	{forms: []string{"13"}, words: newWords("cnp$", "cod numeric"), check: func(d []byte) bool {
		c := weigh(d, 2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9) % 11
		if c == 10 {
			c = 1
		}
		return d[0] >= '1' && dayMonth(num(d[5:7]), num(d[3:5])) && c == at(d, 12)
	}},
	// RU, SNILS: Pension Fund order 192p; modulo 101.
	{forms: []string{"11"}, strong: []string{"3-3-3 2"}, words: newWords("снилс", "snils"), check: func(d []byte) bool {
		return weigh(d, 9, 8, 7, 6, 5, 4, 3, 2, 1)%101%100 == num(d[9:])
	}},
	// RU, INN of a person: Federal Tax Service order MMV-7-6/435; two checks modulo 11.
	{forms: []string{"12"}, words: newWords("инн", "inn$"), check: func(d []byte) bool {
		return weigh(d, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)%11%10 == at(d, 10) && weigh(d, 3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)%11%10 == at(d, 11)
	}},
	// SE, personnummer: Skatteverket SKV 704; Luhn's check, coordination numbers have days 60 higher.
	{forms: []string{"10", "6-4", "8-4", "12"}, words: newWords("pnr$", "samordning", "swedish id"), check: func(d []byte) bool {
		d = d[len(d)-10:]
		return dayMonth(num(d[4:6])%60, num(d[2:4])) && luhn(d)
	}},
	// SI, EMŠO, and RS, BA, ME, MK, JMBG: the Yugoslav law of 1976; modulo 11.
	{forms: []string{"13"}, words: newWords("emšo", "emso", "jmbg", "embg", "матични", "јмбг", "matični"), check: func(d []byte) bool {
		c := 11 - weigh(d, 7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)%11
		return dayMonth(num(d[:2]), num(d[2:4])) && c%11%10 == at(d, 12)
	}},
	// UA, RNOKPP: State Tax Service, OECD TIN sheet; modulo 11.
	{forms: []string{"10"}, words: newWords("рнокпп", "іпн", "ідентифікац", "rnokpp", "ipn$"), check: func(d []byte) bool {
		return (weigh(d, -1, 5, 7, 9, 4, 6, 10, 5, 7)+110)%11%10 == at(d, 9)
	}},
}

// nino tells whether two letters begin National Insurance numbers.
func nino(p []byte) bool {
	return !bytes.ContainsAny(p, "DFIQUV") && p[1] != 'O' && !bytes.Contains([]byte("BG GB KN NK NT TN ZZ"), p)
}

func codiceFiscale(d []byte) bool {
	const months, odd = "ABCDEHLMPRST", "BAFHJNPRTVCESULDGIMOQKWZYX" // odd[v]-'A' is the worth of v in odd places
	sum := 0
	for i, c := range d[:15] {
		v := int(c - 'A')
		if isDigit(c) {
			v = int(c - '0')
		}
		if i%2 == 0 {
			v = int(odd[v] - 'A')
		}
		sum += v
	}
	return bytes.IndexByte([]byte(months), d[8]) >= 0 && num(d[9:11])%40 <= 31 && int(d[15]-'A') == sum%26
}

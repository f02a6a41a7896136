package mask

import "bytes"

// asianIDs, by country.
var asianIDs = []idRule{
	// AE, Emirates ID: Federal Authority for Identity and Citizenship; 784, the year of birth, Luhn's check.
	{forms: []string{"15"}, strong: []string{"3-4-7-1"}, words: newWords("emirates"), check: func(d []byte) bool { return num(d[:3]) == 784 && luhn(d) }},
	// CN, resident identity number: GB 11643-1999; ISO 7064 MOD 11-2.
	{strong: []string{"18", "17A"}, check: func(d []byte) bool {
		year := num(d[6:10])
		return d[0] >= '1' && d[0] <= '8' && year >= 1900 && year < 2100 && dayMonth(num(d[12:14]), num(d[10:12])) &&
			d[17] == "10X98765432"[weigh(d, 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)%11]
	}},
	// HK, identity card: Immigration Department; the check in brackets, modulo 11.
	{strong: []string{"A999999(9)", "AA999999(9)"}, check: func(d []byte) bool {
		if len(d) == 8 {
			d = append([]byte{' '}, d...)
		}
		sum := weigh(d[2:], 7, 6, 5, 4, 3, 2)
		for i, w := range [2]int{9, 8} {
			if d[i] == ' ' {
				sum += 36 * w
			} else {
				sum += int(d[i]-'A'+10) * w
			}
		}
		return d[8] == "0A987654321"[sum%11]
	}},
	// IL, teudat zehut: Population and Immigration Authority; Luhn's check.
	{forms: []string{"9", "8-1"}, words: newWords("teudat", "zehut", "israeli id", "תעודת", "ת.ז"), check: luhn},
	// IN, Aadhaar: UIDAI, "A UID Numbering Scheme" (2010); Verhoeff's check.
	{forms: []string{"12", "4 4 4", "4-4-4"}, words: newWords("aadha", "aadhar", "uidai"), check: func(d []byte) bool { return d[0] >= '2' && verhoeff(d) }},
	// IR, national code: National Organization for Civil Registration; modulo 11.
	{forms: []string{"10", "3-6-1"}, words: newWords("melli", "کد ملی", "کدملی"), check: func(d []byte) bool {
		r := weigh(d, 10, 9, 8, 7, 6, 5, 4, 3, 2) % 11
		return r < 2 && at(d, 9) == r || r >= 2 && at(d, 9) == 11-r
	}},
	// JP, My Number: ordinance 85 of 2014 of the Ministry of Internal Affairs; modulo 11.
	{forms: []string{"12", "4 4 4", "4-4-4"}, words: newWords("my number", "マイナンバー", "個人番号"), check: func(d []byte) bool {
		r := weigh(d, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2) % 11
		return r <= 1 && d[11] == '0' || r > 1 && at(d, 11) == 11-r
	}},
	// KR, resident registration number: Resident Registration Act; modulo 11, without a meaning for those given out since October 2020.
	{forms: []string{"13"}, strong: []string{"6-7"}, words: newWords("주민등록", "rrn$"), check: func(d []byte) bool {
		return dayMonth(num(d[4:6]), num(d[2:4])) && d[6] >= '1' && d[6] <= '8' && (11-weigh(d, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)%11)%10 == at(d, 12)
	}},
	// KZ, IIN: government resolution 853 of 2003; two rounds modulo 11.
	{forms: []string{"12"}, words: newWords("иин", "жсн", "iin$"), check: func(d []byte) bool {
		c := weigh(d, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11) % 11
		if c == 10 {
			c = weigh(d, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2) % 11
		}
		return dayMonth(num(d[4:6]), num(d[2:4])) && c == at(d, 11)
	}},
	// SA, national id and iqama: Ministry of Interior; 1 for citizens, 2 for residents, Luhn's check.
	{forms: []string{"10"}, words: newWords("iqama", "saudi id", "هوية", "إقامة"), check: func(d []byte) bool { return (d[0] == '1' || d[0] == '2') && luhn(d) }},
	// SG, NRIC and FIN: Immigration & Checkpoints Authority; the check letter is modulo 11.
	{forms: []string{"A9999999A"}, words: newWords("nric", "fin$"), check: func(d []byte) bool {
		sum, letters := weigh(d[1:], 2, 7, 6, 5, 4, 3, 2), "JZIHGFEDCBA"
		switch d[0] {
		case 'S':
		case 'T':
			sum += 4
		case 'F':
			letters = "XWUTRQPNMLK"
		case 'G':
			sum, letters = sum+4, "XWUTRQPNMLK"
		default:
			return false
		}
		return d[8] == letters[sum%11]
	}},
	// TH, citizen number: Department of Provincial Administration; modulo 11.
	{forms: []string{"13"}, strong: []string{"1-4-5-2-1"}, words: newWords("thai id", "เลขประจำตัว", "บัตรประชาชน"), check: func(d []byte) bool {
		return d[0] != '0' && (11-weigh(d, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11)%10 == at(d, 12)
	}},
	// TR, T.C. kimlik numarası: General Directorate of Population; two checks modulo 10.
	{forms: []string{"11"}, words: newWords("kimlik", "tckn", "tc no"), check: func(d []byte) bool {
		return d[0] != '0' && (weigh(d, 7, -1, 7, -1, 7, -1, 7, -1, 7)+40)%10 == at(d, 9) && weigh(d, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)%10 == at(d, 10)
	}},
	// TW, national id: Ministry of the Interior; a letter for two digits, modulo 10.
	{forms: []string{"A999999999"}, words: newWords("身分證", "身份證", "taiwan id"), check: func(d []byte) bool {
		v := bytes.IndexByte([]byte("ABCDEFGHJKLMNPQRSTUVXYWZIO"), d[0]) + 10
		return bytes.IndexByte([]byte("1289"), d[1]) >= 0 && (v/10+v%10*9+weigh(d[1:], 8, 7, 6, 5, 4, 3, 2, 1, 1))%10 == 0
	}},
}

// otherIDs are those of Africa and Oceania.
var otherIDs = []idRule{
	// AU, tax file number: Australian Taxation Office; modulo 11.
	{forms: []string{"9", "3 3 3"}, words: newWords("tfn$", "tax file"), check: func(d []byte) bool { return weigh(d, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0 }},
	// AU, Medicare card: Services Australia; modulo 10, an eleventh digit is the person on the card.
	{forms: []string{"10", "11", "4 5 1"}, words: newWords("medicare"), check: func(d []byte) bool {
		return d[0] >= '2' && d[0] <= '6' && weigh(d, 1, 3, 7, 9, 1, 3, 7, 9)%10 == at(d, 8)
	}},
	// NZ, IRD number: Inland Revenue, "Resident withholding tax specification"; modulo 11, two rounds.
	{forms: []string{"8", "9", "2-3-3", "3-3-3"}, words: newWords("ird$", "inland revenue"), check: func(d []byte) bool {
		if len(d) == 8 {
			d = append([]byte{'0'}, d...)
		}
		c := (11 - weigh(d, 3, 2, 7, 6, 5, 4, 3, 2)%11) % 11
		if c == 10 {
			c = (11 - weigh(d, 7, 4, 3, 2, 5, 2, 7, 6)%11) % 11
		}
		return c == at(d, 8)
	}},
	// ZA, identity number: Department of Home Affairs; a date, Luhn's check.
	{forms: []string{"13", "6 4 3", "6 4 2 1"}, words: newWords("south african id", "sa id", "rsa id"), check: func(d []byte) bool {
		return dayMonth(num(d[4:6]), num(d[2:4])) && d[10] <= '2' && luhn(d)
	}},
}

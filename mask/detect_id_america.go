package mask

import "bytes"

// americanIDs, by country. The US SSN, which has no check, is a recogniser of its own.
var americanIDs = []idRule{
	// AR, CUIT and CUIL of persons: AFIP general resolution 10; modulo 11, nine for ten.
	{forms: []string{"11"}, strong: []string{"2-8-1"}, words: newWords("cuit$", "cuil$"), check: func(d []byte) bool {
		c := (11 - weigh(d, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)%11) % 11
		return bytes.Contains([]byte("20 23 24 27"), d[:2]) && min(c, 9) == at(d, 10)
	}},
	// BR, CPF: Receita Federal; two checks modulo 11.
	{forms: []string{"11"}, strong: []string{"3.3.3-2"}, words: newWords("cpf$"), check: func(d []byte) bool {
		return weigh(d, 10, 9, 8, 7, 6, 5, 4, 3, 2)*10%11%10 == at(d, 9) && weigh(d, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2)*10%11%10 == at(d, 10)
	}},
	// CA, social insurance number: Service Canada; Luhn's check.
	{forms: []string{"9", "3 3 3", "3-3-3"}, words: newWords("sin$", "nas$"), check: func(d []byte) bool { return d[0] != '8' && luhn(d) }},
	// CL, RUT: Servicio de Impuestos Internos; modulo 11, K for ten.
	{forms: []string{"8-1", "7-1", "8-A", "7-A"}, strong: []string{"2.3.3-1", "1.3.3-1", "2.3.3-A", "1.3.3-A"}, words: newWords("rut$", "run$"), check: func(d []byte) bool {
		n, sum := len(d)-1, 0
		for i := range n {
			sum += at(d, n-1-i) * (i%6 + 2)
		}
		return d[n] == "0K987654321"[sum%11]
	}},
	// DO, cédula: Junta Central Electoral; Luhn's check.
	{forms: []string{"11", "3-7-1"}, words: newWords("cédula", "cedula"), check: luhn},
	// EC, cédula: Registro Civil; a province and Luhn's check.
	{forms: []string{"10", "9-1"}, words: newWords("cédula", "cedula"), check: func(d []byte) bool {
		return num(d[:2]) >= 1 && num(d[:2]) <= 24 && d[2] < '6' && luhn(d)
	}},
	// MX, CURP: Registro Nacional de Población, "Instructivo normativo" (2021); modulo 10 over a 37-letter alphabet with Ñ.
	{strong: []string{"AAAA999999AAAAAA99", "AAAA999999AAAAAAA9"}, check: func(d []byte) bool {
		sum := 0
		for i, c := range d[:17] {
			v := int(c - '0')
			if isLetter(c) {
				if v = int(c-'A') + 10; c > 'N' {
					v++
				}
			}
			sum += v * (18 - i)
		}
		return (d[10] == 'H' || d[10] == 'M' || d[10] == 'X') && dayMonth(num(d[8:10]), num(d[6:8])) && (10-sum%10)%10 == at(d, 17)
	}},
	// UY, cédula de identidad: Dirección Nacional de Identificación Civil; modulo 10.
	{forms: []string{"8", "7-1"}, strong: []string{"1.3.3-1"}, words: newWords("cédula", "cedula", "c.i.$"), check: func(d []byte) bool {
		return (10-weigh(d, 2, 9, 8, 7, 6, 3, 4)%10)%10 == at(d, 7)
	}},
}

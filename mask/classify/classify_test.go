package classify

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/mask"
)

// TestNames reads names in many languages and spellings without looking at values.
func TestNames(t *testing.T) {
	for _, tc := range []struct{ table, columns, want string }{
		{"t", "email e_mail EMail emailAddress E_MAIL_ADR primary_email user_email2 customeremail email_adresse courriel correo_electronico posta_elettronica " +
			"endereco_email emailadres adres_email e_posta e-postadress meeru_adoresu you_xiang", Email},
		{"t", "phone phone_number tel_nr TelNr telefonnummer num_tel numero_telefono celular telemóvel telefoonnummer nr_telefonu cep_telefonu mobilnummer denwa_bangou " +
			"shou_ji_hao homePhone mobile_no kundentelefon", Phone},
		{"t", "first_name LASTNAME fname vorname nachname prénom nom_de_famille apellidos cognome sobrenome achternaam nazwisko imię soyadı förnamn efternamn shimei xing_ming kul_naam customer_name", Name},
		{"t", "dob birth_date date_of_birth dateOfBirth geb_dat GebDat geburtsdatum date_naissance fecha_nacimiento data_di_nascita dt_nasc geboortedatum data_urodzenia " +
			"doğum_tarihi födelsedatum seinengappi chusheng_riqi janm_tithi", Birth},
		{"t", "street streetAddress zip plz straße hausnr code_postal calle indirizzo endereço straat ulica sokak gatuadress juusho di_zhi pin_code_gali postcode address_line_1", Address},
		{"t", "ssn national_id passport_no steuer_id svnr num_secu dni codice_fiscale cpf bsn pesel tc_kimlik_no personnummer my_number shen_fen_zheng aadhaar", NationalID},
		{"t", "kd_nr kunden_nr KundenNr customer_no num_client codice_cliente klantnummer nr_klienta musteri_no kundnummer kaiin_bangou", CustomerNo},
		{"t", "iban konto_nr account_number numero_cuenta rekeningnummer nr_konta hesap_no", Bank},
		{"t", "card_number credit_card kreditkarten_nr num_carte tarjeta_credito cartao_credito cvv2 kart_no", Card},
		{"t", "password pwd_hash motdepasse contraseña hasło api_key kennwort mi_ma senha", Credential},
		{"t", "ip ip_address client_ip remote_addr last_ip", IP},
		{"customers", "name mail contact", ""}, // vague: see below
		{"t", "id created_at total status email_count email_verified phone_type address_id email_template ip_country password_changed_at product_name file_name company_name " +
			"hostname table_name quantity sku title description email_domain sent_at is_email_valid name_set", "none"},
		{"products", "name", "none"},
	} {
		for _, column := range strings.Fields(tc.columns) {
			got, ok := readName(tc.table, column)
			switch {
			case tc.want == "none":
				if ok && (got.clear || tc.table != "t") {
					t.Errorf("%s.%s is taken for %s by %q", tc.table, column, got.label, got.word)
				}
			case tc.want == "":
				if !ok || got.clear {
					t.Errorf("%s.%s is %+v, want a vague claim", tc.table, column, got)
				}
			case !ok || !got.clear || got.label != tc.want:
				t.Errorf("%s is %+v, want %s", column, got, tc.want)
			}
		}
	}
}

func repeat(n int, f func(i int) string) (out []string) {
	for i := range n {
		out = append(out, f(i))
	}
	return out
}

var (
	mails = repeat(40, func(i int) string { return fmt.Sprintf("ada%d@example.com", i) })
	words = repeat(40, func(i int) string { return fmt.Sprintf("word %d of no one", i) })
	named = repeat(40, func(i int) string { return []string{"Ada Lovelace", "Jean-Luc O'Hara", "Łukasz"}[i%3] })
)

func TestPropose(t *testing.T) {
	notes := repeat(40, func(i int) string {
		if i%8 == 0 {
			return fmt.Sprintf("customer wrote from ada%d@example.com and was answered", i)
		}
		return "nothing"
	})
	of := func(list string) []string {
		words := strings.Split(list, "|")
		return repeat(40, func(i int) string { return words[i%len(words)] })
	}
	docs := repeat(40, func(i int) string { return fmt.Sprintf(`{"to": "ada%d@example.com"}`, i) })
	for _, tc := range []struct {
		name   string
		column Column
		values []string
		want   string
		least  float64
		why    string
	}{
		{"name_and_values", Column{Table: "t", Name: "email", Kind: Text}, mails, Email, 0.97, "40 of 40 values are email addresses"},
		{"values_alone", Column{Table: "t", Name: "c17", Kind: Text}, mails, Email, 0.9, "40 of 40 values"},
		{"values_against_the_name", Column{Table: "t", Name: "vorname", Kind: Text}, mails, Email, 0.9, "0 of 40 values have the form of names"},
		{"name_without_values", Column{Table: "t", Name: "geb_dat", Kind: Date}, nil, Birth, 0.8, "there is no row yet"},
		{"name_that_values_deny", Column{Table: "t", Name: "email", Kind: Text}, words, "", 0, "but 0 of 40"},
		{"vague_name_of_people", Column{Table: "customers", Name: "name", Kind: Text}, named, Name, 0.6, `may say so ("name")`},
		{"vague_name_of_things", Column{Table: "products", Name: "name", Kind: Text}, named, "", 0, ""},
		{"comment", Column{Table: "t", Name: "c17", Comment: "Telefonnummer des Kunden", Kind: Text}, nil, Phone, 0.6, `the comment says so ("telefonnummer")`},
		{"free_text", Column{Table: "t", Name: "notes", Kind: Text}, notes, FreeText, 0.6, "5 of 40 values hold personal data among other words, mostly email addresses"},
		{"json", Column{Table: "t", Name: "payload", Kind: Document}, docs, FreeText, 0.8, "40 of 40"},
		{"people_under_no_name", Column{Table: "t", Name: "c5", Kind: Text}, of("Katarzyna|Quertl|Stefan|Vlompe|Ludmila|Katarzyna Nowak"), Name, 0.75, "together the values are those of a column of names of persons (26 of 40"},
		{"people_under_a_wrong_name", Column{Table: "t", Name: "username", Kind: Text}, of("Katarzyna Nowak|Stefan Ilić|Ludmila Haas|Jürgen Klopp"), Name, 0.85, "together"},
		{"towns", Column{Table: "t", Name: "c6", Kind: Text}, of("Den Haag|Lourdes|Porto|Kraków|Frankfurt am Main|Madison|Oslo|Bari|Sankt Anton|Bonn"), "", 0, ""},
		{"births_under_no_name", Column{Table: "t", Name: "c7", Kind: Text}, repeat(40, func(i int) string { return fmt.Sprintf("%d/3/%d", 1+i%12, 1950+i) }), Birth, 0.8, "together"},
		{"telephones_of_several_forms", Column{Table: "t", Name: "c8", Kind: Text}, of("020 7946 0958|84 23 30|(11) 7113-8192|9346 3414|067 788 02 83"), Phone, 0.8, "together"},
		{"quantities", Column{Table: "t", Name: "c9", Kind: Text}, of("84 23 30|21 25 99|9346 3414"), "", 0, ""},
		{"genders", Column{Table: "t", Name: "c10", Kind: Text}, of("male|female"), Gender, 0.8, "40 of 40 values are words for men and women"},
		{"shirts", Column{Table: "t", Name: "c11", Kind: Text}, of("female|child"), "", 0, ""},
		{"boolean", Column{Table: "t", Name: "email", Kind: Boolean}, nil, "", 0, "true or false"},
		{"time_of_a_change", Column{Table: "t", Name: "password", Kind: Date}, nil, "", 0, "the type rules out"},
		{"network_type", Column{Table: "t", Name: "peer", Kind: Network}, nil, IP, 0.6, "the type is one of network addresses"},
		{"plain_words", Column{Table: "t", Name: "status", Kind: Text}, words, "", 0, "40 values in 40 sampled rows"},
		{"not_readable", Column{Table: "t", Name: "iban", Kind: Text}, nil, Bank, 0.7, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Propose(mask.NewDetector(), tc.column, Sample{Rows: len(tc.values), Values: tc.values})
			if got.Label != tc.want || got.Confidence < tc.least || got.Confidence > 1 || !strings.Contains(got.Why, tc.why) {
				t.Errorf("%+v, want %q of at least %v for %q", got, tc.want, tc.least, tc.why)
			}
		})
	}
}

// TestNoValueIsRepeated: the file must be fit for a repository, whatever the database holds and is called.
func TestNoValueIsRepeated(t *testing.T) {
	const canary = "c4n4ry"
	values := []string{canary + "@example.com", "mail " + canary + "@example.com please", `{"x": "` + canary + `@example.com"}`, canary, "+49 170 1234567 " + canary, ""}
	for _, kind := range []Kind{Other, Text, Document, Number, Date, Network, Hardware, Place, Boolean} {
		for _, name := range []string{"email", canary, canary + "_email", "notes", "tel"} {
			for n := range values {
				p := Propose(mask.NewDetector(), Column{Table: canary, Name: name, Comment: "email of " + canary, Kind: kind}, Sample{Rows: n, Values: values[:n]})
				if strings.Contains(fmt.Sprint(p), canary) {
					t.Errorf("%+v", p)
				}
			}
		}
	}
}

// FuzzPropose: names and comments are whatever somebody wrote.
func FuzzPropose(f *testing.F) {
	f.Add("t", "Ünter\xff_mail", "e-mail \x00", "a@b.example")
	f.Fuzz(func(t *testing.T, table, name, comment, value string) {
		p := Propose(mask.NewDetector(), Column{Table: table, Name: name, Comment: comment, Kind: Text}, Sample{Rows: 1, Values: []string{value}})
		if p.Confidence < 0 || p.Confidence > 1 || p.Why == "" {
			t.Errorf("%+v", p)
		}
	})
}

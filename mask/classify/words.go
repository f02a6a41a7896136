package classify

// The labels that are proposed.
const (
	Email      = "pii.email"
	Phone      = "pii.phone"
	Name       = "pii.name"
	Birth      = "pii.birth"
	Address    = "pii.address"
	NationalID = "pii.national_id"
	Card       = "pii.card"
	Bank       = "pii.bank"
	IP         = "pii.ip"
	Device     = "pii.device"
	Username   = "pii.username"
	CustomerNo = "pii.customer_no"
	Gender     = "pii.gender"
	Health     = "pii.health"
	Special    = "pii.special" // religion, origin, convictions (GDPR article 9)
	Income     = "pii.income"
	Location   = "pii.location"
	Biometric  = "pii.biometric"
	FreeText   = "pii.text"
	Credential = "secret.credential"
	Wallet     = "pii.wallet"
)

// clearNames say what a column holds, without separators and diacritics: geb_dat, GebDat and gebdat are one. In
// order: English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Turkish, Swedish, Japanese, Chinese, Hindi.
var clearNames = map[string]string{
	Email: `email emailaddress emailaddr emailadr mailaddress mailaddr emailid
		emailadresse mailadresse mailadr courriel adressemail adresseemail adressemel adrmail correoelectronico correo
		postaelettronica indirizzoemail correioeletronico enderecoemail emailadres mailadres adresemail mejl eposta epostaadresi
		eposta epost epostadress mejladress meeru meeruadoresu denshimeeru youxiang dianziyouxiang dianziyoujian imel vidyutdak 邮箱 電子メール メール`,
	Phone: `phone phoneno phonenr phonenum phonenumber phonenbr tel telno telnr telnum telephone telephoneno telephonenumber mobile mobileno
		mobilenumber mobilephone cellphone cellno cellnumber cellphonenumber landline fax faxno faxnr faxnumber msisdn homephone workphone whatsapp
		telefon telefonnr telefonnummer telefonno rufnummer rufnr mobil mobilnr mobilnummer mobiltelefon handy handynr handynummer festnetz faxnummer
		notel numtel numerotel numerotelephone numtelephone telephonemobile telmobile telportable telecopie telefono numerotelefono
		numerodetelefono celular numerocelular movil telefonomovil cellulare numerocellulare numerodicellulare telefone telemovel
		numerotelefone numerodetelefone telefoon telefoonnummer telefoonnr telnummer mobielnummer gsmnr gsmnummer nrtelefonu numertelefonu
		telkom telkomorkowy komorka komorkowy ceptel ceptelefonu ceptelefon telefonnumarasi telefonumarasi gsmno sabittelefon telefonnumer mobiltel
		denwa denwabangou denwabango keitai keitaibangou keitaidenwa dianhua dianhuahaoma shouji shoujihao shoujihaoma lianxidianhua
		durbhash doorbhash mobailnambar phonenambar mobailno 电话 手机 電話 電話番号`,
	Name: `firstname fname lastname lname surname givenname forename familyname fullname middlename maidenname mothersmaiden mothersmaidenname middleinitial
		personname customername clientname contactname contactperson patientname employeename holdername cardholder cardholdername accountholder
		recipientname sendername passengername guestname authorname ownername nameoncard legalname
		vorname vorn vname nachname nachn nname zuname familienname geburtsname rufname ansprechpartner maedchenname kontoinhaber kundenname
		prenom nomfamille nomdefamille nomusage nomdusage nomnaissance nomdenaissance nomjeunefille nomcomplet nomclient nompatient titulaire
		apellido apellidos primerapellido segundoapellido apellidopaterno apellidomaterno nombrecompleto nombrepila nombrecliente nombres
		cognome nominativo nomecompleto nomecliente intestatario nomepaziente sobrenome apelido primeironome ultimonome nomemae nomepai nomedamae
		nomedopai titular voornaam voornamen achternaam tussenvoegsel familienaam roepnaam voorletters contactpersoon klantnaam
		imie imiona nazwisko nazwiskorodowe imienazwisko imieinazwisko pierwszeimie drugieimie soyad soyadi adsoyad adisoyadi adivesoyadi
		musteriadi isimsoyisim soyisim anneadi babaadi fornamn efternamn mellannamn tilltalsnamn kundnamn
		shimei namae myouji myoji furigana simei onamae kanjishimei kanashimei xingming mingzi yonghuxingming kehuxingming lianxiren
		upnaam kulnaam poornanaam poorananaam pratham prathamnaam antimnaam pitakanaam 姓名 氏名 名前`,
	Birth: `dob birthdate dateofbirth birthday bday birthdt bdate birthyear yearofbirth birth borndate dateborn
		geburtsdatum geburtsdat gebdat gebdatum gebdt gebtag geburtstag gebjahr geburtsjahr
		datenaissance datedenaissance datenais datenaiss dtnaiss dtnaissance ddn anneenaissance anniversaire
		fechanacimiento fechadenacimiento fecnac fecnacimiento fechanac fnac nacimiento cumpleanos
		datanascita datadinascita dtnascita nascita datanascimento datadenascimento dtnasc dtnascimento datanasc nascimento aniversario
		geboortedatum gebdatum geboortedag geboortejaar dataurodzenia dataur rokurodzenia urodzenia dogumtarihi dogumtar dogumgunu dtarihi dogumyili
		fodelsedatum fodelsedag fodelsear foddatum seinengappi tanjoubi tanjobi umaretahi chushengriqi chushengnianyue shengri
		janmatithi janmtithi janamtithi janmdin janamdin janmatarikh janmdinank 生年月日 出生日期 生日`,
	Address: `streetaddress street streetname streetno streetnumber addressline addr postaladdress homeaddress mailingaddress
		shippingaddress billingaddress deliveryaddress residentialaddress zip zipcode postcode postalcode housenumber houseno housenr
		strasse strassenname strassennr hausnr hausnummer plz postleitzahl anschrift adresse wohnort wohnanschrift lieferadresse rechnungsadresse
		adressepostale codepostal codpostal nomrue numrue adresselivraison adressefacturation domicile
		direccion calle codigopostal domicilio direccionpostal indirizzo civico numerocivico residenza codicepostale indirizzoresidenza
		endereco rua codigopostal logradouro bairro morada codpostal adres straat straatnaam huisnummer huisnr woonplaats postadres bezoekadres
		ulica kodpocztowy nrdomu nrmieszkania adreszamieszkania adreskorespondencyjny sokak cadde mahalle postakodu acikadres evadresi
		gatuadress postnummer postnr gata bostadsadress postadress juusho jusho yuubinbangou yubinbango yubinbangou banchi
		dizhi zhuzhi lianxidizhi shouhuodizhi jiatingzhuzhi youzhengbianma youbian pincode gharkapata sthayipata 住所 地址`,
	NationalID: `ssn socialsecurity socialsecurityno socialsecuritynumber socsec socsecno socialinsurancenumber nationalid nationalidno nationalidnumber nationalidentifier natid
		idcardno idcardnumber idcard identitynumber identityno personalid personalidno passport passportno passportnumber passportnr driverslicense driverlicense
		driverslicence drivinglicence driverlicenseno licenceno licenseno licensenumber dlno taxid taxidno taxnumber taxpayerid nino nhsno nhsnumber itin
		steuerid steuernr steueridnr steuernummer svnr sozialversicherungsnr sozialversicherungsnummer svnummer rvnr rentenversicherungsnr
		personalausweis personalausweisnr ausweisnr ausweisnummer reisepass reisepassnr passnr passnummer fuehrerschein fuehrerscheinnr
		numsecu numerosecu numsecuritesociale securitesociale numss noss nss nir carteidentite numcni passeport numpasseport permisconduire
		dni nif nie cedula curp pasaporte nuss numeroseguridadsocial cuil rut codicefiscale codfiscale codfisc passaporto cartaidentita
		cpf numerocpf passaporte numerocontribuinte contribuinte bilheteidentidade numerobi bsn bsnnr burgerservicenummer sofinr sofinummer paspoort
		paspoortnr rijbewijs rijbewijsnr pesel nrpesel numerpesel dowodosobisty nrdowodu seriadowodu paszport nrpaszportu
		tckn tckimlikno tckimlik tcno tckimliknumarasi kimlikno kimliknumarasi pasaportno pasaport ehliyetno personnummer personnr persnr samordningsnummer passnummer korkortsnr
		mynumber mainanbaa kojinbangou kojinbango ryokenbangou menkyobangou menkyoshobangou shenfenzheng shenfenzhenghao shenfenzhenghaoma sfz sfzh
		zhengjianhao zhengjianhaoma huzhao huzhaohao aadhaar aadhar adhar aadhaarno aadharno aadhaarnumber panno pancard pannumber voterid pehchanpatra 身份证 身份证号`,
	Card: `cardno cardnumber cardnr cardnum creditcard creditcardno creditcardnumber creditcardnr ccnum ccnumber ccno ccnr debitcard cvv cvv2 cvc cvc2 cardpan
		paymentcard cardexpiry ccexpiry ccexpires kreditkarte kreditkartennr kreditkartennummer kartennr kartennummer cartebancaire numcarte numerocarte cartebleue cartecredit
		tarjeta tarjetacredito numtarjeta numerotarjeta numerodetarjeta cartacredito cartadicredito numerocarta cartao cartaocredito cartaodecredito numerocartao numcartao
		creditcardnummer kaartnummer kaartnr kartakredytowa nrkarty numerkarty kredikarti kredikartino kartno kartnumarasi kontokort kortnummer kortnr kreditkort
		kaadobangou kurejittokaado kurejittokadobangou xinyongka xinyongkahao credittcardsankhya 卡号 信用卡`,
	Bank: `iban ibanno ibannr accountno accountnumber acctno acctnum acctnumber acctnr bankaccount bankaccountno bankaccountnumber bankacct sortcode routingnumber routingno
		kontonr kontonummer bankverbindung bankkonto blz bankleitzahl comptebancaire numcompte numerocompte rib cuentabancaria numcuenta numerocuenta numerodecuenta clabe
		contocorrente numeroconto numconto contabancaria numeroconta numconta nib rekeningnummer rekeningnr bankrekening bankrekeningnummer
		nrkonta numerkonta rachunek numerrachunku nrrachunku kontobankowe hesapno hesapnumarasi bankahesabi ibannumarasi bankkonto bankgiro kontonummer
		kouzabangou kozabango ginkoukouza yinhangka yinhangkahao yinhangzhanghao khatasankhya khatano bankkhata ifsc 银行卡号 口座番号`,
	IP: `ip ipaddress ipaddr ipadr ipv4 ipv6 clientip remoteip remoteaddr srcip sourceip lastip userip hostip loginip lastloginip ipadresse adresseip
		direccionip indirizzoip enderecoip ipadres adresip ipadresi ipadress ipadoresu ipdizhi`,
	Device: `macaddress macaddr imei imeino imsi deviceid udid idfa gaid advertisingid androidid macadresse`,
	Username: `username login loginname benutzername nutzername identifiant nomutilisateur nomdutilisateur usuario nombreusuario nombredeusuario nomeutente nomeusuario
		nomedeusuario gebruikersnaam nazwauzytkownika kullaniciadi anvandarnamn yuuzaamei yuzamei yonghuming upayogakarta nickname screenname skypename twitterhandle`,
	CustomerNo: `customerno customernumber customernr custno custnr custnum clientno clientnumber memberno membernumber membershipno membershipnumber patientno patientnumber mrn
		employeeno employeenumber studentno studentnumber policyno policynumber loyaltyno loyaltynumber kdnr kundennr kundennummer kundenno mitgliedsnr mitgliedsnummer
		personalnr personalnummer patientennr matrikelnr matrikelnummer versichertennr vertragsnr numclient numeroclient noclient codeclient matricule numadherent
		numcliente numerocliente nrocliente codcliente codigocliente codicecliente numerodecliente codigodocliente matricula klantnr klantnummer lidnummer
		nrklienta numerklienta nrpacjenta musterino musterinumarasi kundnr kundnummer medlemsnr medlemsnummer kokyakubangou kokyakubango kaiinbangou kaiinbango
		kehuhao kehubianhao huiyuanhao grahaksankhya`,
	Gender: `gender sex geschlecht sexe sexo genero sesso geslacht plec cinsiyet seibetsu xingbie ling 性别 性別`,
	Health: `diagnosis diagnoses icdcode icd10 bloodtype bloodgroup allergies allergy medication medications disability medicalhistory diagnose krankheit blutgruppe befund
		vorerkrankung schwerbehindert diagnostic maladie groupesanguin handicap antecedents diagnostico enfermedad alergias gruposanguineo discapacidad diagnosi malattia
		grupposanguigno allergie doenca tiposanguineo ziekte bloedgroep diagnoza choroba grupakrwi teshis kangrubu hastalik diagnos sjukdom blodgrupp
		shindan byoumei ketsuekigata zhenduan bingli xuexing nidan raktsamuh`,
	Special: `religion ethnicity ethnicorigin nationalorigin sexualorientation politicalaffiliation unionmember tradeunion konfession religionszugehoerigkeit herkunft
		appartenancereligieuse origineethnique origenetnico religione etnia religiao godsdienst wyznanie din religia etnicitet shuukyou zongjiao minzu dharm jati`,
	Income: `salary annualsalary monthlysalary wage wages grosspay netpay income annualincome gehalt bruttogehalt lohn einkommen salaire revenu remuneration salario sueldo
		ingresos stipendio reddito retribuzione renda salaris inkomen brutoloon wynagrodzenie pensja dochod maas gelir ucret inkomst manadslon kyuuryou nenshuu
		gongzi xinzi shouru vetan`,
	Biometric: `fingerprint faceid facetemplate irisscan voiceprint biometric fingerabdruck empreinte huelladactilar impronta`,
	Credential: `password passwd pwd passwordhash passwdhash pwdhash pwhash passhash passphrase passwordsalt apikey apisecret apitoken accesstoken refreshtoken sessiontoken
		authtoken privatekey secretkey clientsecret totpsecret otpsecret mfasecret pincode2 securityanswer passwort kennwort passworthash motdepasse mdp contrasena contrasenia
		senha senhahash wachtwoord haslo hasloh sifre parola losenord losenordshash pasuwaado pasuwado anshoubangou mima denglumima koshabd paasvard 密码 パスワード`,
}

// vagueNames may say it: they count where the table is one of people, or the values bear them out.
var vagueNames = map[string]string{
	Email:      `mail eml mel poczta correio posta youjian`,
	Phone:      `cell handset gsm cep portable contactno contactnumber lianxi sampark`,
	Name:       `name nom nombre nome naam namn ad adi isim sei mei xing contact holder initials nazwa kunde`,
	Birth:      `born naissance fodd dogum chusheng janm gebdatumtijd`,
	Address:    `address adress line1 line2 rue voie via cap cep cp str ul pata gali box pobox jiedao residence`,
	NationalID: `sin tin idno idnumber idnr pan rg cf nip rfc cni cnp nid inn kimlik ausweis dowod menkyo ryoken secu`,
	Card:       `card cc carte karte kart kaart kort cb karta kahao`,
	Bank:       `bic swift account acct konto compte cuenta conta rekening hesap kouza zhanghao khata nrb`,
	IP:         `ipadd`,
	Device:     `mac serial`,
	Username:   `handle userid uid utente skype twitter instagram benutzer uname`,
	CustomerNo: `custid memberid patientid`,
	Gender:     `genre genere kon civilite anrede salutation`,
	Health:     `icd rog notesmedical medical`,
	Special:    `race glaube party caste`,
	Income:     `pay lon loon renta bonus`,
	Location:   `lat lon lng latitude longitude geo gps geolocation coordinates geom koordinaten`,
	Biometric:  `photo picture avatar portrait foto signature unterschrift`,
	Credential: `secret token pin otp salt clave parole pass hash cookie sessionid`,
}

// people are tables of persons, as whole words or the beginning of one.
const people = `customer client user person people employee staff patient contact member subscriber guest student teacher applicant candidate recipient
	passenger driver lead account holder owner author resident citizen voter donor tenant buyer participant profile
	kunde kunden mitarbeiter nutzer benutzer patienten mitglied personal schueler bewerber kontakt
	utilisateur employe adherent personne salarie etudiant abonne cliente usuario empleado paciente persona socio alumno contacto
	utente dipendente paziente persone studente cliente funcionario pessoa aluno klant medewerker gebruiker persoon leerling
	klient pracownik uzytkownik osoba pacjent musteri calisan kullanici kisi hasta ogrenci kund anstalld anvandare medlem
	kokyaku shain kaiin riyousha kanja kehu yuangong yonghu huiyuan huanzhe grahak karmchari upyogkarta rogi`

// turns are words after which, or before which, a name speaks of something else: email_count, phone_type, address_id.
const turns = `set country id ids type typ count cnt sent verified confirmed valid validated opt optin optout consent status state flag enabled template subject domain provider
	format at on date time ts updated created changed expires expiry attempts total sum avg is has allow allowed required version template lang language code
	anzahl gesendet bestaetigt nombreenvois tipo estado envoye verifie preference preferred preferences source`

// things have names that are nobody's: product_name, file_name.
const things = `product file table host event domain company brand group role class category city country state server service package tag schema job project team department
	dept item campaign model method function field column firm org organisation organization vendor supplier store shop branch region currency unit device app application
	plan bank school hotel restaurant room color colour material queue topic channel bucket image document report task status type key index database db node cluster
	produkt datei firma abteilung land stadt ort artikel marke filiale produit fichier societe entreprise ville pays marque producto archivo empresa ciudad pais
	prodotto azienda citta paese produto arquivo cidade bedrijf stad bestand firma miasto produkt urun sirket sehir foretag stad`

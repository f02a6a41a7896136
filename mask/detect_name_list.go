package mask

import "strings"

// titles stand before a surname.
var titles = []string{"Mr. ", "Mr ", "Mrs. ", "Mrs ", "Ms. ", "Ms ", "Miss ", "Dr. ", "Prof. ", "Herr ", "Frau ", "Monsieur ", "Madame ", "Mme ", "Señor ", "Señora ", "Signor ", "Signora "}

// introductions are followed by a name, whichever it is.
var introductions = []string{"my name is ", "his name is ", "her name is ", "maiden name is ", "my name's ", "named him ", "named her ", "ich heiße ", "je m'appelle ", "me llamo ", "mi chiamo "}

// greetings make a known given name by itself a name.
var greetings = []string{"hi ", "hello ", "hey ", "dear ", "name: ", "i'm ", "i am ", "this is ", "thanks ", "regards,\n", "regards, ", "hallo ", "hola ", "bonjour ", "ciao ", "liebe ", "lieber "}

// cueEnds are the letters before the blank at the end of titles and introductions.
var cueEnds = func() (t [256]bool) {
	for _, list := range [][]string{titles, introductions} {
		for _, s := range list {
			t[s[len(s)-2]] = true
		}
	}
	return t
}()

// notNames begin sentences after what reads as an introduction.
var notNames = set("Sir Madam Customer Customers All Team Not The")

var particles = set("van von de der den del della di da dos das du la le bin ibn al el ter ten zu")

// givenNames are frequent given names of several languages, without those that are as well places, months,
// words or brands (Paris, Jordan, Austin, Mark, Rose, April, Mercedes, Victoria...).
var givenNames = set(`
Aaron Adam Adrian Alan Albert Alejandro Alessandro Alex Alexander Alexandra Alfred Ali Alice Alicia Amanda Amy Ana Anders Andrea Andreas Andrew
Andrzej Angela Anita Ann Anna Anne Annette Anthony Antonio Arthur Barbara Beatriz Benjamin Bernard Birgit Björn Brandon Brian Bruno Camille Carl Carla Carlos
Carmen Carolina Caroline Catherine Chantal Christian Christina Christine Christopher Claire Claudia Clemens Cristina Cynthia Daniel Daniela Daniele David Deborah Denise
Dennis Diego Dmitri Dominik Donald Dorothy Douglas Edward Eduardo Elena Elisabeth Elizabeth Ella Emily Emma Eric Erik Erika Esther Eugene Eva Evelyn
Fabian Fatima Felipe Fernando Filip Francesca Francesco Franziska François Françoise Frederik Gabriel Gabriela Gary George Gerhard Gianluca Giovanni Giulia Giuseppe Gladys
Gloria Gregory Guido Guillaume Gunnar Gustav Hannah Hans Harald Harold Heather Heidi Heinrich Helen Helena Helga Henrik Henry Hiroshi Hugo Ingrid Irene Isabel
Isabella Ivan Jacob Jacqueline Jakub James Jana Jane Janet Janine Javier Jean Jeffrey Jennifer Jens Jeremy Jessica Joan Joanna Johan Johanna Johannes
John Jonas Jonathan Jorge José Joseph Joshua Juan Juana Julia Julie Julien Julian Jürgen Karen Karin Karl Katarina Katarzyna Katharina Katherine
Kathleen Keiko Kenneth Kevin Klaus Krzysztof Kurt Larry Lars Laura Laurent Leonardo Liam Linda Lisa Lorenzo Louis Louise Lucas Lucia Luis Luisa
Lukas Magdalena Małgorzata Manuel Marcel Marco Marcus Margaret Maria Marie Marina Mario Marta Martha Martin Martina Mary Mateusz Matteo Matthew Matthias Maurice
Megan Melissa Michael Michel Michelle Miguel Mikael Mohamed Mohammed Monica Monika Muhammad Nancy Natalia Natalie Nathan Nicholas Nicolas Nicole Niels Nikolai
Noah Nora Olga Oliver Olivia Oscar Pablo Pamela Patricia Patrick Paul Paula Paulo Pavel Pedro Peter Petra Philip Philippe Pierre Piotr Rachel Rafael
Raymond Rebecca Ricardo Richard Robert Roberto Roger Roland Ronald Ryan Samantha Samuel Sandra Sara Sarah Satoshi Scott Sebastian Sergei Sergio Sharon Silvia
Simon Simone Sofia Sofie Sophie Stefan Stefano Stephanie Stephen Steven Susan Sven Svetlana Sylvie Takashi Teresa Thomas Thorsten Timothy Tomasz Tyler Ursula
Uwe Valentina Valérie Vanessa Vincent Vladimir Walter Wendy Wilhelm William Wolfgang Yolanda Yusuf Yves Zoe`)

func set(list string) map[string]bool {
	m := map[string]bool{}
	for _, s := range strings.Fields(list) {
		m[s] = true
	}
	return m
}

package access

// Purpose is what personal data is used for, and the ground that allows it, as the configuration's catalogue has it.
type Purpose struct {
	ID          string
	Text        string
	LawfulBasis string   // of LawfulBases
	Relations   []string // patterns schema.table of what serves it; none: not said
}

// LawfulBases are the grounds of GDPR article 6(1), in its order, a to f.
var LawfulBases = []string{"consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interests"}

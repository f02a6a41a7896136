package access

// Unjudged is the label of columns that may hold anything and that nobody has judged yet.
const Unjudged Label = "unjudged"

// Judgements is what the labels file of a connection says.
type Judgements struct {
	File    string
	Columns []Judgement
	// Show leaves columns raw that nobody has judged. The zero value hides those that may hold text.
	Show bool
}

// Judgement is one column of a labels file.
type Judgement struct {
	Column ColumnID
	Label  Label // what it is taken to hold; empty where that is nothing to be masked
	// Decided tells a person's decision from a proposal. A proposed label counts, the proposal of none does not.
	Decided bool
	Source  string // file:line
}

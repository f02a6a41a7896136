package identity

import (
	"crypto/rand"
	"errors"
	"strings"
	"sync"

	"github.com/xdg-go/scram"

	"sallyport/internal/access"
)

// maxMessage bounds one SASL message: PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH.
const maxMessage = 1024

// Exchange is one SCRAM-SHA-256 conversation. Only a Store makes one that can count: its fields are
// set nowhere else, and the zero Exchange belongs to no Store.
type Exchange struct {
	access.Conversation

	store *Store
	name  string
	tries []try // one conversation for each way to prove the name, with one salt, iteration count and nonce

	mu     sync.Mutex
	ended  bool
	proved *candidate // ended well and not yet taken
	wrong  bool       // the proof failed
	why    error      // for the operator's log
}

// try is a conversation about one candidate. All are held to the end, so that their number and what comes of each take the
// same time for every name.
type try struct {
	of   candidate
	conv *scram.ServerConversation
}

// SCRAM begins an exchange for the user that the client named at startup; the name inside the SCRAM
// messages is ignored, as PostgreSQL does. An unknown user gets an exchange that fails at its end.
func (s *Store) SCRAM(name string) *Exchange {
	x := &Exchange{store: s, name: name}
	nonce := rand.Text() + rand.Text()
	for _, c := range s.candidates(name) {
		server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return c.keys, nil })
		if err != nil {
			return &Exchange{store: s, name: name, ended: true}
		}
		x.tries = append(x.tries, try{of: c, conv: server.WithNonceGenerator(func() string { return nonce }).NewConversation()})
	}
	return x
}

// Step takes the client's next message and gives the server's answer. done says that the client has
// proved its password: hand the Exchange to Verify. After an error the exchange is over; a broken
// message is an *access.Error with Code 08P01, a failed proof one with 28P01.
func (x *Exchange) Step(client string) (server string, done bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended || len(x.tries) == 0 {
		return "", false, errMessage(errors.New("the exchange is over"))
	}
	if len(client) > maxMessage {
		x.ended = true
		return "", false, errMessage(errors.New("the message is too long"))
	}
	var answer string // of the conversation that counts, or else of the first
	for i := range x.tries {
		t := &x.tries[i]
		said, failed := t.conv.Step(client)
		if i == 0 {
			answer, err = said, failed
		}
		if failed == nil && t.conv.Done() && t.conv.Valid() {
			if t.of.counts() {
				answer, err, x.proved = said, nil, &t.of
			} else if t.of.over {
				x.why = errOver
			}
		}
	}
	if err != nil {
		x.ended = true
		// The library answers a failed proof with e=invalid-proof; everything else is a message that
		// a correct client would not send. Both are reached alike by real and by mock exchanges.
		if answer == scram.ErrInvalidProof {
			x.wrong = true
			return "", false, errPassword(x.name, nil)
		}
		return "", false, errMessage(err)
	}
	if first := x.tries[0].conv; !first.Done() {
		if first.AuthzID() != "" {
			x.ended = true
			return "", false, errMessage(errors.New("an authorization identity was given"))
		}
		return answer, false, nil
	}
	x.ended = true
	if x.proved == nil {
		x.wrong = true
		return "", false, errPassword(x.name, x.why)
	}
	return answer, true, nil
}

// take gives what the exchange has proved, once, and whether its proof failed.
func (x *Exchange) take() (proved *candidate, wrong bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	proved = x.proved
	x.proved = nil
	return proved, x.wrong
}

// errMessage hides the library's text from the client: it repeats what the client sent.
func errMessage(cause error) error {
	hint := "the client must speak SCRAM-SHA-256 (RFC 7677) without channel binding"
	if strings.Contains(cause.Error(), "channel binding") {
		hint = "channel binding is not offered: use channel_binding=prefer or disable"
	}
	return &access.Error{
		Kind: access.Invalid, Code: "08P01",
		Message: "malformed SCRAM message", Hint: hint, Err: cause,
	}
}

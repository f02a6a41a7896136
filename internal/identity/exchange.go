package identity

import (
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
	user  *user // nil: nobody can log in with this exchange, whatever it proves
	conv  *scram.ServerConversation

	mu    sync.Mutex
	ended bool
	valid bool // ended well and not yet taken
	wrong bool // the proof failed
}

// SCRAM begins an exchange for the user that the client named at startup; the name inside the SCRAM
// messages is ignored, as PostgreSQL does. An unknown user gets an exchange that fails at its end.
func (s *Store) SCRAM(name string) *Exchange {
	u, keys := s.lookup(name)
	x := &Exchange{store: s, name: name, user: u}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return keys, nil })
	if err != nil {
		x.ended = true
		return x
	}
	x.conv = server.NewConversation()
	return x
}

// Step takes the client's next message and gives the server's answer. done says that the client has
// proved its password: hand the Exchange to Verify. After an error the exchange is over; a broken
// message is an *access.Error with Code 08P01, a failed proof one with 28P01.
func (x *Exchange) Step(client string) (server string, done bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended || x.conv == nil {
		return "", false, errMessage(errors.New("the exchange is over"))
	}
	if len(client) > maxMessage {
		x.ended = true
		return "", false, errMessage(errors.New("the message is too long"))
	}
	server, err = x.conv.Step(client)
	if err != nil {
		x.ended = true
		// The library answers a failed proof with e=invalid-proof; everything else is a message that
		// a correct client would not send. Both are reached alike by real and by mock exchanges.
		if server == scram.ErrInvalidProof {
			x.wrong = true
			return "", false, errPassword(x.name, nil)
		}
		return "", false, errMessage(err)
	}
	if !x.conv.Done() {
		if x.conv.AuthzID() != "" {
			x.ended = true
			return "", false, errMessage(errors.New("an authorization identity was given"))
		}
		return server, false, nil
	}
	x.ended = true
	if !x.conv.Valid() || x.user == nil {
		x.wrong = true
		return "", false, errPassword(x.name, nil)
	}
	x.valid = true
	return server, true, nil
}

// take reports whether the exchange ended well, once, and whether its proof failed.
func (x *Exchange) take() (ok, wrong bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	ok = x.valid && x.user != nil
	x.valid = false
	return ok, x.wrong
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

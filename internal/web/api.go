package web

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// The interface for programs, which `sallyport review` uses. Each request has a person's name and password (RFC 7617), so that
// each is as good as a log-in of its own; there are no cookies, and a browser is refused. Bodies are JSON, at most maxBody, within bodyTime.
//
//	GET  /api/v1/me                      Me
//	GET  /api/v1/reviews                 ReviewList; ?state= as the filters of the inbox (all without one), ?limit= up to 1000 (50), ?before=ID
//	GET  /api/v1/reviews/{id}            Review
//	POST /api/v1/reviews/{id}/approve    Verdict -> Review
//	POST /api/v1/reviews/{id}/deny       Verdict -> Review
//	POST /api/v1/reviews/{id}/cancel     -> Review
//	POST /api/v1/reviews/{id}/preview    -> Preview
//
// For `sallyport login` (signinapi.go), the first two without a password:
//
//	GET    /api/v1/login                 LoginOffer
//	POST   /api/v1/credential            CredentialRequest -> Credential
//	GET    /api/v1/credential            Standing of the secret that is the password
//	DELETE /api/v1/credential            withdraws the secret that is the password; 204
//
// An error is an APIError with the status: 400 and 422 for what was sent, 401 for who sent it, 403 for what they may not do, 404 for what
// does not exist or may not be known of, 409 where the request has changed or ended, 429 where too many log in at once, 5xx for us.

// Me is who asks.
type Me struct {
	Name     string   `json:"name"`
	Groups   []string `json:"groups"`
	Auditor  bool     `json:"auditor"`
	Operator bool     `json:"operator"`
}

// Review is a request as the asker sees it.
type Review struct {
	*gateway.ReviewRequest
	*Look              // of one that is shown; absent for those whose word does not count
	URL       string   `json:"url,omitempty"` // its page
	Missing   []string `json:"missing,omitempty"`
	Mine      bool     `json:"mine,omitempty"`
	MayDecide bool     `json:"may_decide"`         // the asker's word counts and is missing
	WhyNot    string   `json:"why_not,omitempty"`  // why it does not count
	Deadline  string   `json:"deadline,omitempty"` // when what is pending or approved ends (RFC 3339)
}

// ReviewList is a part of the requests that the asker may know of, the newest first. Next is the id to give as ?before= for more.
type ReviewList struct {
	Reviews []Review `json:"reviews"`
	Next    string   `json:"next,omitempty"`
}

// Verdict is a reviewer's word about what they were shown. Revision is that of the Review. Without Grant it is for one time, or what
// the first reviewer has granted.
type Verdict struct {
	Revision      uint64               `json:"revision"`
	Justification string               `json:"justification"`
	Purpose       string               `json:"purpose,omitempty"`
	Grant         *gateway.ReviewGrant `json:"grant,omitempty"`
}

// APIError says what went wrong and what to do.
type APIError struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}

func (s *Server) apiRoutes(mux *http.ServeMux) {
	for pattern, h := range map[string]func(*visit) (any, error){
		"GET /api/v1/me": func(v *visit) (any, error) {
			return Me{Name: v.who.Name, Groups: v.who.Groups, Auditor: v.auditor, Operator: v.operator}, nil
		},
		"GET /api/v1/reviews":               (*visit).apiList,
		"GET /api/v1/reviews/{id}":          (*visit).apiShow,
		"POST /api/v1/reviews/{id}/approve": func(v *visit) (any, error) { return v.apiDecide("approve") },
		"POST /api/v1/reviews/{id}/deny":    func(v *visit) (any, error) { return v.apiDecide("deny") },
		"POST /api/v1/reviews/{id}/cancel":  (*visit).apiCancel,
		"POST /api/v1/reviews/{id}/preview": (*visit).apiPreview,
	} {
		mux.HandleFunc(pattern, s.program(h))
	}
	mux.HandleFunc("GET /api/v1/login", s.json(s.apiLogin))
	mux.HandleFunc("POST /api/v1/credential", s.json(s.apiIssue))
	mux.HandleFunc("GET /api/v1/credential", s.program((*visit).apiStanding))
	mux.HandleFunc("DELETE /api/v1/credential", s.program((*visit).apiLogout))
	mux.HandleFunc("/api/", s.program(func(*visit) (any, error) { return nil, errNotFound }))
}

// program serves JSON to who gives a name and a password.
func (s *Server) program(h func(*visit) (any, error)) http.HandlerFunc {
	return s.json(func(w http.ResponseWriter, r *http.Request) (any, error) { return s.answer(w, r, h) })
}

// json answers with what h gives, or its error; nil is an answer without a body.
func (s *Server) json(h func(http.ResponseWriter, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out, err := h(w, r)
		if out == nil && err == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		status := http.StatusOK
		if err != nil {
			p := asProblem(err)
			if status = p.status; status >= 500 {
				s.log.Error("request failed", "door", "web", "error", err)
			}
			if status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Basic realm="sallyport", charset="UTF-8"`)
			}
			out = APIError{p.text, p.hint}
		}
		body, err := json.Marshal(out)
		if err != nil {
			s.log.Error("answer not made", "door", "web", "error", err)
			http.Error(w, `{"error":"internal error in the gateway"}`, http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write(append(body, '\n'))
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, h func(*visit) (any, error)) (any, error) {
	if err := fromProgram(r); err != nil {
		return nil, err
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		return nil, &problem{http.StatusUnauthorized, "give a person's name and password (Authorization: Basic)", "tokens of agents are not taken here"}
	}
	p, err := s.check(r, user, password)
	if err != nil {
		if pr := asProblem(err); pr.status != http.StatusForbidden {
			return nil, pr
		}
		return nil, errNoEntry
	}
	now := s.now()
	v := &visit{s: s, w: w, r: r, session: &session{who: p, authenticated: s.provedAt(p, now)}, who: p, now: now, auditor: inAny(p.Groups, s.opt.Auditors), operator: inAny(p.Groups, s.opt.Operators)}
	out, err := h(v)
	if err == nil && r.Method == http.MethodGet && s.core.Stands(p) != nil { // meanwhile
		return nil, errNoEntry
	}
	return out, err
}

var errNoEntry = &problem{http.StatusUnauthorized, "this name and password do not open this door", ""}

// fromProgram refuses pages in a browser, and bodies that are not JSON.
func fromProgram(r *http.Request) error {
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		// A browser that had once been given the password would send it along with what any page asks for.
		return &problem{http.StatusForbidden, "this is for programs, not for pages in a browser", "use the pages at /reviews"}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Method == http.MethodPost && (err != nil || kind != "application/json") {
		return &problem{http.StatusUnsupportedMediaType, "the body has to be JSON", "send Content-Type: application/json"}
	}
	return nil
}

func (v *visit) apiReview(r *gateway.ReviewRequest) Review {
	out := Review{ReviewRequest: r.Shown(), Mine: gateway.Asked(v.who, r), MayDecide: v.wanted(r)}
	if v.s.opt.PublicURL != "" {
		out.URL = v.s.opt.PublicURL + "/reviews/" + r.ID
	}
	if !out.MayDecide {
		_, out.WhyNot = v.s.core.MayDecide(v.who, r)
	}
	switch {
	case r.State == "pending":
		out.Missing, out.Deadline = r.Missing(), r.Expires.Format(time.RFC3339)
	case r.State == "approved" && r.Grant != nil:
		out.Deadline = r.Grant.Until.Format(time.RFC3339)
	}
	return out
}

func (v *visit) apiList() (any, error) {
	state, most := v.query("state"), 50
	if state == "" {
		state = "all"
	}
	known := false
	for _, f := range filters {
		known = known || f.Name == state
	}
	if !known {
		return nil, &problem{http.StatusBadRequest, "there is no state " + strconv.Quote(state), "waiting, mine, glass, pending, approved, ended or all"}
	}
	if l := v.query("limit"); l != "" {
		n, err := strconv.Atoi(l)
		if err != nil || n < 1 || n > listed {
			return nil, &problem{http.StatusBadRequest, "limit is a number from 1 to " + strconv.Itoa(listed), ""}
		}
		most = n
	}
	list, next, err := v.reviews(state, v.query("before"), most)
	if err != nil {
		return nil, err
	}
	out := ReviewList{Reviews: []Review{}, Next: next}
	for _, r := range list {
		out.Reviews = append(out.Reviews, v.apiReview(r))
	}
	return out, nil
}

func (v *visit) apiShow() (any, error) {
	r, err := v.ask()
	if err != nil {
		return nil, err
	}
	out := v.apiReview(r)
	out.Look, err = v.look(r)
	return out, err
}

func (v *visit) apiDecide(verdict string) (any, error) {
	r, err := v.ask()
	if err != nil {
		return nil, err
	}
	var in Verdict
	if err := readJSON(v.r, &in); err != nil {
		return nil, err
	}
	if in.Revision == 0 {
		return nil, &problem{http.StatusUnprocessableEntity, "revision is missing: that of the request as it was shown", "get it with GET /api/v1/reviews/{id}"}
	}
	vote := gateway.ReviewVote{Verdict: "deny", Justification: in.Justification, Channel: "cli", Authenticated: v.session.authenticated.UTC(), ACR: v.who.Proof.ACR, Proven: v.who.Proof.Brief()}
	if verdict == "approve" {
		if v.who.Proof.Method == access.BySecret && !v.fresh(r.ID) {
			return nil, errLogInFresh
		}
		vote.Verdict, vote.Purpose = "approve", in.Purpose
		switch first := firstGrant(r); {
		case r.Glass != nil:
		case in.Grant != nil:
			vote.Grant = *in.Grant
		case first != nil:
			vote.Grant = *first
		}
	} else if in.Grant != nil {
		return nil, &problem{http.StatusUnprocessableEntity, "a denial grants nothing", "leave grant out"}
	}
	r, err = v.s.core.Decide(v.recorded(), v.who, r.ID, in.Revision, vote)
	if err != nil {
		return nil, v.notDecided(err)
	}
	v.s.log.Info("decided", "door", "web", "request", r.ID, "reviewer", v.who.Name, "verdict", verdict)
	v.now = v.s.now()
	return v.apiReview(r), nil
}

func (v *visit) apiCancel() (any, error) {
	r, err := v.ask()
	if err != nil {
		return nil, err
	}
	if r, err = v.withdraw(r); err != nil {
		return nil, err
	}
	return v.apiReview(r), nil
}

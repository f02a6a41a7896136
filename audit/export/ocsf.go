package export

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/access"
)

// OCSF 1.9.0, class Datastore Activity (6005) of category Application Activity, with the profiles record_integrity and,
// for what came through the agents' door or names an agent, ai_operation.
const (
	ocsfVersion  = "1.9.0"
	ocsfCategory = 6
	ocsfClass    = 6005
)

// activity_id of the class, which other classes of the category number differently.
const (
	actUpdate  = 2
	actRead    = 1
	actConnect = 3
	actQuery   = 4
	actWrite   = 5
	actCreate  = 6
	actDelete  = 7
	actOther   = 99
)

const (
	statusSuccess = 1
	statusFailure = 2
	statusOther   = 99
)

const (
	severityInfo   = 1
	severityMedium = 3
)

type ocsf struct{ name, version string }

func (ocsf) mediaType() string { return "application/x-ndjson" }

func (o ocsf) encode(e entry, before *link) ([]byte, *link, error) {
	ev := o.event(e)
	after, err := attest(ev, e.log+"/"+o.name, before)
	if err != nil {
		return nil, nil, err
	}
	text, err := marshal(ev)
	return text, after, err
}

// event maps a record. It depends on the log alone, so that a record that is sent again is the same event.
func (o ocsf) event(e entry) *ocsfEvent {
	activity, name := activityOf(e)
	kind := name
	if activity == actOther {
		kind = "Other"
	}
	ev := &ocsfEvent{
		ActivityID: activity, ActivityName: name,
		CategoryUID: ocsfCategory, CategoryName: "Application Activity",
		ClassUID: ocsfClass, ClassName: "Datastore Activity",
		TypeUID: ocsfClass*100 + int64(activity), TypeName: "Datastore Activity: " + kind,
		Time: e.Time.UnixMilli(), Message: summary(e),
		Metadata: ocsfMetadata{
			Version: ocsfVersion, Profiles: []string{"record_integrity"},
			Product:          ocsfProduct{Name: "Sallyport", VendorName: "Sallyport", Version: o.version},
			UID:              e.log + "/" + strconv.FormatUint(e.Position, 10),
			OriginalEventUID: strconv.FormatUint(e.Position, 10),
			CorrelationUID:   cmp.Or(e.Task, e.Session),
		},
		Actor:       o.actor(e),
		SrcEndpoint: endpoint(e),
		Database:    ocsfDatabase{Name: "unknown", TypeID: 0, Type: "Unknown"},
		TypeID:      1, Type: "Database",
		Unmapped: ocsfRest(e),
	}
	if e.Connection != "" {
		ev.Database = ocsfDatabase{Name: e.Connection, TypeID: 1, Type: "Relational"}
	}
	ev.SeverityID, ev.Severity = severity(e)
	ev.StatusID, ev.Status = status(e)
	ev.StatusCode, ev.StatusDetail = e.Code, e.Error
	if e.Micros > 0 {
		ev.Duration = e.Micros / 1000
	}
	if sql := statementOf(e); sql != "" {
		ev.QueryInfo = &ocsfQuery{QueryString: sql, Bytes: e.Bytes, Name: e.plan.Tag, UID: e.plan.Fingerprint}
	}
	if len(e.plan.Relations) == 1 {
		ev.Table = &ocsfTable{Name: e.plan.Relations[0]}
	}
	if agent := agentOf(e); agent != "" {
		ev.Metadata.Profiles = append(ev.Metadata.Profiles, "ai_operation")
		ev.AIAgent = &ocsfAgent{UID: agent, Name: agent, InstanceUID: e.Session}
	}
	return ev
}

func (o ocsf) actor(e entry) ocsfActor {
	proof := proofOf(e)
	a := ocsfActor{Session: &ocsfSession{UID: e.Session, UIDAlt: proof.Session, Issuer: proof.Issuer, Credential: proof.Credential, MFA: slices.Contains(proof.AMR, "mfa")}}
	name := e.Principal
	if name == "" {
		a.User = &ocsfUser{Name: "sallyport", TypeID: 4, Type: "Service"} // the gateway's own records
		return a
	}
	a.User = &ocsfUser{Name: name, UID: name, UIDAlt: proof.Subject, TypeID: 0, Type: "Unknown"}
	groups := e.Groups
	if len(groups) == 0 && e.opened != nil {
		groups = e.opened.Groups
	}
	for _, g := range groups {
		a.User.Groups = append(a.User.Groups, ocsfGroup{Name: g})
	}
	return a
}

// proofOf is what the principal was proven by; zero where nobody says.
func proofOf(e entry) access.Proof {
	switch {
	case e.Proof != nil:
		return *e.Proof
	case e.opened != nil && e.opened.Proof != nil:
		return *e.opened.Proof
	}
	return access.Proof{}
}

// clientOf is what the door says of the client: an address and port, perhaps with the name of an application.
func clientOf(e entry) string {
	if e.Client == "" && e.opened != nil {
		return e.opened.Client
	}
	return e.Client
}

func endpoint(e entry) ocsfEndpoint {
	out := ocsfEndpoint{SvcName: cmp.Or(string(e.Door), "sallyport")}
	address, app, _ := strings.Cut(clientOf(e), " ")
	if a, err := netip.ParseAddrPort(address); err == nil {
		out.IP, out.Port = a.Addr().String(), int(a.Port())
		out.Name = app
	} else {
		out.Name = clientOf(e)
	}
	return out
}

// agentOf names the agent that acted: the one that acts for the principal, or whoever came through the agents' door.
func agentOf(e entry) string {
	if e.Actor == "" && e.Door == access.DoorMCP {
		return e.Principal
	}
	return e.Actor
}

// statementOf is the SQL of a record or of the intent that it belongs to.
func statementOf(e entry) string {
	if e.SQL == "" && e.intent != nil {
		return e.intent.SQL
	}
	return e.SQL
}

func activityOf(e entry) (id int, name string) {
	switch e.Kind {
	case access.RecordOpen:
		return actConnect, "Connect"
	case access.RecordRelease:
		return actRead, "Read"
	case access.RecordRefused:
		if statementOf(e) == "" && e.plan.Tag == "" {
			return actConnect, "Connect"
		}
	case access.RecordTask, access.RecordClose, access.RecordLogin, access.RecordRevoked, access.RecordViewed, access.RecordErased, access.RecordProposal, access.RecordHold, access.RecordLifted:
		return actOther, string(e.Kind)
	}
	verb, _, _ := strings.Cut(e.plan.Tag, " ")
	switch {
	case e.plan.Class == access.ClassDDL || e.plan.Class == access.ClassRole:
		return actOther, cmp.Or(strings.ToLower(e.plan.Tag), "other")
	case verb == "INSERT":
		return actCreate, "Create"
	case verb == "UPDATE" || verb == "MERGE":
		return actUpdate, "Update"
	case verb == "DELETE" || verb == "TRUNCATE":
		return actDelete, "Delete"
	case e.plan.Class == access.ClassWrite:
		return actWrite, "Write"
	case e.plan.Class == access.ClassRead:
		return actQuery, "Query"
	}
	return actOther, cmp.Or(strings.ToLower(e.plan.Tag), string(e.Kind))
}

// codeUnknown is the SQLSTATE of an outcome that nobody saw (08007, transaction_resolution_unknown).
const codeUnknown = "08007"

func status(e entry) (id int, name string) {
	switch {
	case e.Kind == access.RecordIntent:
		return statusOther, "about to run"
	case e.Code == codeUnknown:
		return statusOther, "outcome unknown"
	case failed(e):
		return statusFailure, "Failure"
	}
	return statusSuccess, "Success"
}

func failed(e entry) bool {
	return e.Kind == access.RecordRefused || e.Code != "" || e.Error != ""
}

func severity(e entry) (id int, name string) {
	if e.Kind == access.RecordRefused || e.Code == codeUnknown {
		return severityMedium, "Medium"
	}
	return severityInfo, "Informational"
}

// summary is one line that says what happened, without the statement.
func summary(e entry) string {
	words := []string{string(e.Kind)}
	add := func(before, s string) {
		if s != "" {
			words = append(words, before+s)
		}
	}
	add("", e.plan.Tag)
	add("by ", cmp.Or(e.Principal, "the gateway"))
	add("for agent ", e.Actor)
	add("on ", e.Connection)
	if e.Rows > 0 && e.Kind != access.RecordClose {
		words = append(words, fmt.Sprintf("%d rows", e.Rows))
	}
	add("", e.Code)
	return strings.Join(words, " ")
}

// ocsfRest is what the class has no attribute for, in the names of the record. Rows that were released are not part of
// it: their digest is.
func ocsfRest(e entry) map[string]any {
	rest := map[string]any{"position": e.Position, "log": e.log, "leaf": e.leaf, "seq": e.Seq, "kind": e.Kind}
	put := func(key string, v any, there bool) {
		if there {
			rest[key] = v
		}
	}
	put("door", e.Door, e.Door != "")
	put("proof", e.Proof, e.Proof != nil)
	put("behind", e.Behind, len(e.Behind) > 0)
	put("task", e.Task, e.Task != "")
	put("goal", e.Goal, e.Goal != "")
	put("ticket", e.Ticket, e.Ticket != "")
	put("reason", e.Reason, e.Reason != "")
	put("approval", e.Approval, e.Approval != "")
	put("review", e.Review, len(e.Review) > 0 && json.Valid(e.Review))
	put("revoked", e.Revoked, len(e.Revoked) > 0)
	put("viewed", e.Viewed, len(e.Viewed) > 0)
	put("params", e.Params, len(e.Params) > 0)
	put("nulls", e.Nulls, len(e.Nulls) > 0)
	put("intent", e.Intent, e.Intent != 0)
	put("rows", e.Rows, e.Rows != 0)
	put("columns", e.Columns, len(e.Columns) > 0)
	put("truncated", true, e.Truncated)
	put("digest", e.Digest, e.Digest != "")
	put("detected", e.Detected, e.Detected != 0)
	put("command", e.Command, e.Command != "")
	put("hint", e.Hint, e.Hint != "")
	put("micros", e.Micros, e.Micros != 0)
	put("probes", e.Probes, e.Probes != 0)
	put("root", e.Root, e.Root != "")
	put("open", e.Open, len(e.Open) > 0)
	put("erased", true, e.Erased)
	plan := e.Plan
	if len(plan) == 0 && e.intent != nil {
		plan = e.intent.Plan
	}
	put("plan", plan, len(plan) > 0 && json.Valid(plan))
	return rest
}

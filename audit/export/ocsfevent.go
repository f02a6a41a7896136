package export

// What is sent of OCSF 1.9.0, in the order of the class. Times are milliseconds since 1970.

type ocsfEvent struct {
	ActivityID   int              `json:"activity_id"`
	ActivityName string           `json:"activity_name"`
	CategoryUID  int              `json:"category_uid"`
	CategoryName string           `json:"category_name"`
	ClassUID     int              `json:"class_uid"`
	ClassName    string           `json:"class_name"`
	TypeUID      int64            `json:"type_uid"`
	TypeName     string           `json:"type_name"`
	Time         int64            `json:"time"`
	Duration     int64            `json:"duration,omitempty"` // milliseconds
	SeverityID   int              `json:"severity_id"`
	Severity     string           `json:"severity"`
	StatusID     int              `json:"status_id"`
	Status       string           `json:"status"`
	StatusCode   string           `json:"status_code,omitempty"`
	StatusDetail string           `json:"status_detail,omitempty"`
	Message      string           `json:"message"`
	Metadata     ocsfMetadata     `json:"metadata"`
	Actor        ocsfActor        `json:"actor"`
	AIAgent      *ocsfAgent       `json:"ai_agent,omitempty"`
	SrcEndpoint  ocsfEndpoint     `json:"src_endpoint"`
	Database     ocsfDatabase     `json:"database"`
	Table        *ocsfTable       `json:"table,omitempty"`
	TypeID       int              `json:"type_id"`
	Type         string           `json:"type"`
	QueryInfo    *ocsfQuery       `json:"query_info,omitempty"`
	Attestation  *ocsfAttestation `json:"attestation,omitempty"`
	Unmapped     map[string]any   `json:"unmapped"`
}

type ocsfMetadata struct {
	Version          string      `json:"version"`
	Profiles         []string    `json:"profiles"`
	Product          ocsfProduct `json:"product"`
	UID              string      `json:"uid"`                // log id and position
	OriginalEventUID string      `json:"original_event_uid"` // position
	CorrelationUID   string      `json:"correlation_uid,omitempty"`
}

type ocsfProduct struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
	Version    string `json:"version,omitempty"`
}

type ocsfActor struct {
	User    *ocsfUser    `json:"user"`
	Session *ocsfSession `json:"session"`
}

type ocsfUser struct {
	Name   string      `json:"name"`
	UID    string      `json:"uid,omitempty"`
	UIDAlt string      `json:"uid_alt,omitempty"` // the provider's subject
	TypeID int         `json:"type_id"`
	Type   string      `json:"type"`
	Groups []ocsfGroup `json:"groups,omitempty"`
}

type ocsfGroup struct {
	Name string `json:"name"`
}

type ocsfSession struct {
	UID        string `json:"uid"`
	UIDAlt     string `json:"uid_alt,omitempty"` // the provider's
	Issuer     string `json:"issuer,omitempty"`
	Credential string `json:"credential_uid,omitempty"`
	MFA        bool   `json:"is_mfa,omitempty"`
}

type ocsfAgent struct {
	UID         string `json:"uid"`
	Name        string `json:"name"`
	InstanceUID string `json:"instance_uid,omitempty"`
}

type ocsfEndpoint struct {
	IP      string `json:"ip,omitempty"`
	Port    int    `json:"port,omitempty"`
	Name    string `json:"name,omitempty"`
	SvcName string `json:"svc_name"` // the door
}

type ocsfDatabase struct {
	Name   string `json:"name"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
}

type ocsfTable struct {
	Name string `json:"name"`
}

type ocsfQuery struct {
	QueryString string `json:"query_string"`
	Bytes       int64  `json:"bytes,omitempty"`
	Name        string `json:"name,omitempty"` // command tag
	UID         string `json:"uid,omitempty"`  // fingerprint of the statement
}

type ocsfAttestation struct {
	ChainUID    string           `json:"chain_uid"`
	PrevEvent   *ocsfPrevEvent   `json:"prev_event,omitempty"`
	Fingerprint *ocsfFingerprint `json:"fingerprint,omitempty"`
}

type ocsfPrevEvent struct {
	UID         string           `json:"uid"`
	TypeUID     int64            `json:"type_uid"`
	Fingerprint *ocsfFingerprint `json:"fingerprint"`
}

type ocsfFingerprint struct {
	AlgorithmID int    `json:"algorithm_id"`
	Algorithm   string `json:"algorithm"`
	Value       string `json:"value"`
}

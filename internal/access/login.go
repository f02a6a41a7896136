package access

// LoginRequest is what a browser is sent to a provider with, to log in (OpenID Connect Core 3.1.2.1, with PKCE: RFC 7636).
type LoginRequest struct {
	Provider string // its name in the configuration
	Redirect string // where the provider sends the browser back to
	State    string
	Nonce    string
	Verifier string // of PKCE; its SHA-256 is sent
	// StepUp asks that the person proves who they are now, by one of the provider's ACR where it has any.
	StepUp bool
}

// LoginResponse is what the browser came back with, and what it had been sent with.
type LoginResponse struct {
	Provider, Redirect, Verifier string
	Code                         string
	Issuer                       string // the parameter "iss" (RFC 9207), or ""
}

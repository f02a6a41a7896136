package oidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// TestHostileAccessTokens has what an attacker presents as access token. Each is a good token with one thing wrong.
func TestHostileAccessTokens(t *testing.T) {
	b := newBench(t)
	theirs := newKey(t, "ES256")
	theirs.ID = b.idp.Key().ID
	rsa := newKey(t, "RS256")
	at := forge.Shape{Header: claims{"typ": "at+jwt"}}
	now := b.now().Unix()
	token := func(edit claims, shapes ...forge.Shape) string {
		c := b.idp.AccessClaims(door)
		for k, v := range edit {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		return forge.Mint(b.idp, c, append([]forge.Shape{at}, shapes...)...)
	}
	head := func(h claims) forge.Shape { return forge.Shape{Header: h} }
	payload := func(s string) string { return token(nil, forge.Shape{Payload: []byte(s)}) }
	text := func(edit claims) string {
		c := b.idp.AccessClaims(door)
		for k, v := range edit {
			c[k] = v
		}
		raw, _ := json.Marshal(c)
		return string(raw)
	}
	good := token(nil)
	part := strings.Split(good, ".")
	deep := claims{"sub": "triage-bot"}
	for range MostActors {
		deep = claims{"sub": "triage-bot", "act": deep}
	}
	other := testidp.New(t)
	other.Clock(b.now)

	cases := map[string]struct {
		token string
		want  Check
	}{
		// What is no token of the provider's at all.
		"empty":                      {"", Form},
		"dots":                       {"..", Form},
		"four_parts":                 {good + ".x", Form},
		"two_parts":                  {part[0] + "." + part[1], Form},
		"json_serialization":         {`{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`, Form},
		"padding":                    {part[0] + "." + part[1] + "=." + part[2], Form},
		"line_break":                 {part[0] + "." + part[1][:8] + "\n" + part[1][8:] + "." + part[2], Form},
		"space_before":               {" " + good, Form},
		"scheme_before":              {"Bearer " + good, Form},
		"too_long":                   {token(claims{"x": strings.Repeat("x", 20_000)}), Form},
		"nested_too_deep":            {token(nil, forge.Shape{Payload: []byte(strings.Repeat(`{"a":`, 3000) + "1" + strings.Repeat("}", 3000))}), Form},
		"no_object":                  {payload(`["iss"]`), Form},
		"null_payload":               {payload(`null`), Form},
		"something_behind":           {payload(text(nil) + `{}`), Form},
		"claim_twice":                {payload(strings.TrimSuffix(text(nil), "}") + `,"sub":"admin"}`), Form},
		"claim_twice_by_escape":      {payload(strings.TrimSuffix(text(nil), "}") + `,"\u0073ub":"admin"}`), Form},
		"claim_twice_within":         {payload(strings.TrimSuffix(text(nil), "}") + `,"x":{"a":1,"a":2}}`), Form},
		"invalid_utf8":               {payload(strings.Replace(text(nil), "ada", "ad\xff", 1)), Form},
		"header_twice":               {b64(`{"alg":"none","alg":"ES256","kid":"`+theirs.ID+`","typ":"at+jwt"}`) + "." + part[1] + "." + part[2], Form},
		"bits_that_say_nothing":      {good[:len(good)-1] + string(good[len(good)-1]+1), Form},
		"alg_none":                   {token(nil, forge.Shape{Alg: "none"}), Signature},
		"alg_none_with_signature":    {token(nil, head(claims{"alg": "none"})), Header},
		"alg_None":                   {token(nil, head(claims{"alg": "None"})), Header},
		"alg_absent":                 {token(nil, head(claims{"alg": nil})), Header},
		"alg_number":                 {token(nil, head(claims{"alg": 5})), Header},
		"hs256_by_the_public_key":    {token(nil, forge.Shape{Alg: "HS256"}), Header},
		"hs256_by_the_empty_key":     {token(nil, forge.Shape{Alg: "HS256", Secret: []byte{}}), Header},
		"alg_of_another_key":         {token(nil, head(claims{"alg": "RS256"})), Signature},
		"alg_not_taken":              {token(nil, head(claims{"alg": "ES384"})), Header},
		"signature_left_out":         {part[0] + "." + part[1] + ".", Signature},
		"signature_of_another_token": {part[0] + "." + part[1] + "." + strings.Split(token(claims{"sub": "u-2"}), ".")[2], Signature},
		"signature_of_zeros":         {part[0] + "." + part[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), Signature},
		"signature_der":              {part[0] + "." + part[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 70)), Signature},
		"claims_changed":             {part[0] + "." + b64(text(claims{"preferred_username": "root"})) + "." + part[2], Signature},
		"own_key_with_their_kid":     {token(nil, forge.Shape{Key: theirs}), Signature},
		"rsa_key_with_their_kid":     {token(nil, forge.Shape{Key: rsa}, head(claims{"kid": theirs.ID})), Signature},
		"unknown_kid":                {token(nil, head(claims{"kid": "nobody's"})), Signature},
		"kid_absent":                 {token(nil, head(claims{"kid": nil})), Signature},
		"kid_of_a_path":              {token(nil, head(claims{"kid": "../../../dev/null"})), Signature},
		"kid_long":                   {token(nil, head(claims{"kid": strings.Repeat("k", 300)})), Header},
		"key_in_the_header":          {token(nil, forge.Shape{Key: theirs}, head(claims{"jwk": claims{"kty": "EC"}})), Header},
		"url_of_keys_in_the_header":  {token(nil, forge.Shape{Key: theirs}, head(claims{"jku": "https://evil.example/jwks"})), Header},
		"certificate_url":            {token(nil, head(claims{"x5u": "https://evil.example/x"})), Header},
		"crit":                       {token(nil, head(claims{"crit": []string{"exp"}})), Header},
		"crit_empty":                 {token(nil, head(claims{"crit": []string{}})), Header},
		"b64_false":                  {token(nil, head(claims{"b64": false})), Header},
		"encrypted":                  {token(nil, head(claims{"enc": "A256GCM"})), Header},

		// Another kind of token.
		"id_token":              {b.idp.IDToken("n"), Header},
		"id_token_with_typ":     {forge.Mint(b.idp, b.idp.IDClaims("n"), at), Audience},
		"id_token_for_the_door": {token(claims{"nonce": "n"}), Audience},
		"id_token_with_at_hash": {token(claims{"at_hash": "x"}), Audience},
		"logout_token":          {b.idp.LogoutToken(), Header},
		"logout_token_with_typ": {token(claims{"events": claims{}}), Audience},
		"typ_absent":            {token(nil, head(claims{"typ": nil})), Header},
		"typ_jwt":               {token(nil, head(claims{"typ": "JWT"})), Header},
		"typ_dpop":              {token(nil, head(claims{"typ": "dpop+jwt"})), Header},
		"typ_twice":             {token(nil, head(claims{"typ": "application/application/at+jwt"})), Header},
		"bound_to_a_key":        {token(claims{"cnf": claims{"jkt": "x"}}), Claims},

		// For somebody else, or by.
		"audience_of_another":       {token(claims{"aud": "https://other.example.com"}), Audience},
		"audience_absent":           {token(claims{"aud": nil}), Audience},
		"audience_empty":            {token(claims{"aud": ""}), Audience},
		"audience_none":             {token(claims{"aud": []string{}}), Audience},
		"audience_of_the_client":    {token(claims{"aud": testidp.ClientID}), Audience},
		"audience_longer":           {token(claims{"aud": door + "/"}), Audience},
		"audience_prefix":           {token(claims{"aud": "https://sallyport.example.com"}), Audience},
		"audience_other_case":       {token(claims{"aud": strings.ToUpper(door)}), Audience},
		"audience_object":           {token(claims{"aud": claims{door: true}}), Form},
		"audience_mixed":            {token(claims{"aud": []any{door, 1}}), Form},
		"issuer_of_another":         {other.AccessToken(door), Issuer},
		"issuer_with_slash":         {token(claims{"iss": b.idp.Issuer + "/"}), Issuer},
		"issuer_other_case":         {token(claims{"iss": strings.ToUpper(b.idp.Issuer)}), Issuer},
		"issuer_absent":             {token(claims{"iss": nil}), Issuer},
		"issuer_array":              {token(claims{"iss": []string{b.idp.Issuer}}), Issuer},
		"issuer_claimed_by_another": {other.AccessToken(door, claims{"iss": b.idp.Issuer}), Signature},
		"client_absent":             {token(claims{"client_id": nil}), Audience},
		"client_and_azp_differ":     {token(claims{"azp": "other"}), Audience},
		"client_number":             {token(claims{"client_id": 5}), Claims},
		"client_null":               {token(nil, forge.Shape{Payload: []byte(strings.Replace(text(nil), `"client_id":"sallyport"`, `"client_id":null`, 1))}), Claims},

		// At another time.
		"expired":                    {token(claims{"exp": now - 31}), Time},
		"expires_at_the_end_of_skew": {token(claims{"exp": now - 30}), Time},
		"never_expires":              {token(claims{"exp": nil}), Time},
		"exp_zero":                   {token(claims{"exp": 0}), Time},
		"exp_text":                   {token(claims{"exp": "9999999999"}), Time},
		"exp_huge":                   {payload(strings.Replace(text(claims{"exp": 1}), `"exp":1`, `"exp":1e400`, 1)), Form},
		"exp_beyond_time":            {token(claims{"exp": 1 << 60}), Time},
		"not_yet_valid":              {token(claims{"nbf": now + 31}), Time},
		"nbf_text":                   {token(claims{"nbf": "soon"}), Form},
		"issued_tomorrow":            {token(claims{"iat": now + 86400}), Time},
		"iat_absent":                 {token(claims{"iat": nil}), Time},
		"auth_time_to_come":          {token(claims{"auth_time": now + 86400}), Time},

		// Of nobody, or of somebody that they are not.
		"sub_absent":                 {token(claims{"sub": nil}), Subject},
		"sub_empty":                  {token(claims{"sub": ""}), Subject},
		"sub_number":                 {token(claims{"sub": 1}), Form},
		"sub_with_nul":               {token(claims{"sub": "a\x00b"}), Subject},
		"user_absent":                {token(claims{"preferred_username": nil}), Subject},
		"user_empty":                 {token(claims{"preferred_username": ""}), Subject},
		"user_array":                 {token(claims{"preferred_username": []string{"ada"}}), Subject},
		"user_with_space":            {token(claims{"preferred_username": "ada lovelace"}), Subject},
		"user_homoglyph":             {token(claims{"preferred_username": "\u0430da"}), Subject},
		"user_control":               {token(claims{"preferred_username": "ada\n"}), Subject},
		"user_long":                  {token(claims{"preferred_username": strings.Repeat("a", 64)}), Subject},
		"user_like_an_agent":         {token(claims{"preferred_username": "bot"}), Subject},
		"user_by_another_case":       {payload(strings.Replace(text(nil), `"preferred_username"`, `"Preferred_Username"`, 1)), Subject},
		"agent_that_is_none_of_ours": {token(claims{"sub": "stranger", "client_id": "stranger"}), Subject},

		// With more than they have.
		"groups_object":             {token(claims{"groups": claims{"dba": true}}), Claims},
		"groups_number":             {token(claims{"groups": 1}), Claims},
		"groups_mixed":              {token(claims{"groups": []any{"eng", 1}}), Claims},
		"group_empty":               {token(claims{"groups": []any{""}}), Claims},
		"group_control":             {token(claims{"groups": []any{"eng\x1b[2J"}}), Claims},
		"groups_too_many":           {token(claims{"groups": many(maxGroups + 1)}), Claims},
		"attribute_object":          {token(claims{"org": claims{"tenant": claims{}}}), Claims},
		"attribute_under_no_object": {token(claims{"org": "7"}), Claims},
		"attribute_nul":             {token(claims{"org": claims{"tenant": "7\x00"}}), Claims},
		"scope_number":              {token(claims{"scope": 1}), Claims},
		"scope_mixed":               {token(claims{"scope": []any{"a", claims{}}}), Claims},
		"sources_elsewhere":         {token(claims{"groups": nil, "_claim_names": claims{"groups": "s"}, "_claim_sources": claims{"s": claims{"endpoint": "http://169.254.169.254/latest"}}}), Claims},

		// By an actor that may not.
		"actor_unknown":           {token(claims{"act": claims{"sub": "stranger"}}), Actor},
		"actor_unknown_behind":    {token(claims{"act": claims{"sub": "triage-bot", "act": claims{"sub": "stranger"}}}), Actor},
		"actor_text":              {token(claims{"act": "triage-bot"}), Actor},
		"actor_null":              {token(nil, forge.Shape{Payload: []byte(strings.TrimSuffix(text(nil), "}") + `,"act":null}`)}), Actor},
		"actor_nobody":            {token(claims{"act": claims{}}), Actor},
		"actor_number":            {token(claims{"act": claims{"sub": 1}}), Actor},
		"actor_list":              {token(claims{"act": []any{claims{"sub": "triage-bot"}}}), Actor},
		"actor_of_another_issuer": {token(claims{"act": claims{"sub": "triage-bot", "iss": "https://evil.example"}}), Actor},
		"actors_too_many":         {token(claims{"act": deep}), Actor},
	}
	if len(cases) < 60 {
		t.Fatalf("%d cases", len(cases))
	}
	accepted := 0
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			said, err := b.ps.Access(context.Background(), c.token)
			if err == nil {
				accepted++
				t.Fatalf("taken: %+v", said)
			}
			if said.Principal.Name != "" {
				t.Error("a principal with an error")
			}
			failed(t, err, c.want)
		})
	}
	t.Logf("%d hostile tokens, %d accepted", len(cases), accepted)
	said := b.good(good) // the control: the provider, the keys and the configuration take what has nothing wrong
	if p := said.Principal; p.Name != "ada" || p.Kind != access.Human || p.Actor != "" || strings.Join(p.Groups, " ") != "eng support" || p.Attributes["tenant"] != "7" {
		t.Errorf("%+v", p)
	}
	if q := said.Principal.Proof; q.Method != access.ByAccessToken || q.Issuer != b.idp.Issuer || q.Subject != "u-1" || q.Client != testidp.ClientID || len(q.Token) != 64 ||
		q.Issued.Unix() != now || q.Expires.Unix() != now+3600 || q.ACR != "2" || len(q.AMR) != 2 || q.Authenticated.Unix() != now || strings.Join(q.Scopes, " ") != "openid" || q.Scoped {
		t.Errorf("%+v", q)
	}
}

func many(n int) (out []string) {
	for range n {
		out = append(out, "g")
	}
	return out
}

func TestHostileIDTokens(t *testing.T) {
	b := newBench(t, func(p *access.Provider) { p.LoginClientID = "cli" })
	now := b.now().Unix()
	token := func(edit claims) string { return b.idp.IDToken("n", edit) }
	login := func(raw string) access.IDToken { return access.IDToken{Provider: "corp", Token: raw, Nonce: "n"} }
	at := b.idp.AccessToken(door)
	for name, c := range map[string]struct {
		login access.IDToken
		want  Check
	}{
		"empty":                  {login(""), Form},
		"provider_unknown":       {access.IDToken{Provider: "other", Token: token(nil), Nonce: "n"}, Issuer},
		"provider_empty":         {access.IDToken{Token: token(nil), Nonce: "n"}, Issuer},
		"access_token":           {login(at), Header},
		"access_token_as_jwt":    {login(forge.Mint(b.idp, b.idp.AccessClaims(door))), Audience},
		"logout_token":           {login(b.idp.LogoutToken()), Header},
		"logout_token_as_jwt":    {login(token(claims{"events": claims{}})), Audience},
		"nonce_of_another":       {login(b.idp.IDToken("m")), Nonce},
		"nonce_absent":           {login(b.idp.IDToken("")), Nonce},
		"nonce_not_asked_for":    {access.IDToken{Provider: "corp", Token: token(nil)}, Nonce},
		"nonce_prefix":           {access.IDToken{Provider: "corp", Token: b.idp.IDToken("nn"), Nonce: "n"}, Nonce},
		"nonce_number":           {login(token(claims{"nonce": 1})), Form},
		"audience_of_another":    {login(token(claims{"aud": "other", "azp": nil})), Audience},
		"audience_of_several":    {login(token(claims{"aud": []string{testidp.ClientID, "other"}})), Audience},
		"audiences_without_azp":  {login(token(claims{"aud": []string{testidp.ClientID, "cli"}, "azp": nil})), Audience},
		"audience_absent":        {login(token(claims{"aud": nil})), Audience},
		"azp_of_another":         {login(token(claims{"azp": "other"})), Audience},
		"azp_number":             {login(token(claims{"azp": 1})), Audience},
		"expired":                {login(token(claims{"exp": now - 60})), Time},
		"old":                    {login(token(claims{"iat": now - 700})), Time},
		"old_without_nonce":      {access.IDToken{Provider: "corp", Token: b.idp.IDToken("", claims{"iat": now - 200})}, Time},
		"iat_absent":             {login(token(claims{"iat": nil})), Time},
		"authenticated_long_ago": {access.IDToken{Provider: "corp", Token: token(claims{"auth_time": now - 400}), Nonce: "n", MaxAge: 5 * time.Minute}, Time},
		"authenticated_not_said": {access.IDToken{Provider: "corp", Token: token(claims{"auth_time": nil}), Nonce: "n", MaxAge: 5 * time.Minute}, Time},
		"at_hash_of_another":     {access.IDToken{Provider: "corp", Token: token(claims{"at_hash": halfHash("ES256", "x")}), Nonce: "n", AccessToken: at}, Nonce},
		"actor":                  {login(token(claims{"act": claims{"sub": "triage-bot"}})), Actor},
		"unsigned":               {login(forge.Mint(b.idp, b.idp.IDClaims("n"), forge.Shape{Alg: "none"})), Signature},
		"signed_by_the_secret":   {login(forge.Mint(b.idp, b.idp.IDClaims("n"), forge.Shape{Alg: "HS256", Secret: []byte("client secret")})), Header},
		"issuer_of_another":      {login(token(claims{"iss": "https://evil.example"})), Issuer},
		"user_absent":            {login(token(claims{"preferred_username": nil})), Subject},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.ps.ID(context.Background(), c.login)
			failed(t, err, c.want)
		})
	}
	for name, l := range map[string]access.IDToken{
		"unmodified":      login(token(nil)),
		"login_client":    login(token(claims{"aud": "cli", "azp": "cli"})),
		"azp_absent":      login(token(claims{"azp": nil})),
		"device":          {Provider: "corp", Token: b.idp.IDToken("", claims{"iat": now - 100})},
		"just_now":        {Provider: "corp", Token: token(nil), Nonce: "n", MaxAge: time.Minute},
		"with_its_access": {Provider: "corp", Token: token(claims{"at_hash": halfHash("ES256", at)}), Nonce: "n", AccessToken: at},
	} {
		said, err := b.ps.ID(context.Background(), l)
		if p := said.Principal; err != nil || p.Name != "ada" || p.Proof.Method != access.ByIDToken || p.Proof.Session != "s-u-1" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := b.ps.Access(context.Background(), token(nil)); err == nil {
		t.Error("an ID token was taken as access token")
	}
}

func TestHostileLogoutTokens(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]struct {
		token string
		want  Check
	}{
		"id_token":     {b.idp.IDToken(""), Claims},
		"access_token": {b.idp.AccessToken(door), Header},
		"nonce":        {b.idp.LogoutToken(claims{"nonce": "n"}), Nonce},
		"no_event":     {b.idp.LogoutToken(claims{"events": claims{}}), Claims},
		"event_text":   {b.idp.LogoutToken(claims{"events": claims{logoutEvent: "yes"}}), Claims},
		"nobody":       {b.idp.LogoutToken(claims{"sub": nil, "sid": nil}), Subject},
		"no_jti":       {b.idp.LogoutToken(claims{"jti": nil}), Subject},
		"for_another":  {b.idp.LogoutToken(claims{"aud": "other"}), Audience},
		"old":          {b.idp.LogoutToken(claims{"iat": b.now().Unix() - 700}), Time},
		"issuer":       {b.idp.LogoutToken(claims{"iss": "https://evil.example"}), Issuer},
		"unsigned":     {forge.Mint(b.idp, claims{"iss": b.idp.Issuer}, forge.Shape{Alg: "none"}), Signature},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.ps.Logout(context.Background(), c.token)
			failed(t, err, c.want)
		})
	}
	r, err := b.ps.Logout(context.Background(), b.idp.LogoutToken())
	if err != nil || r.Token == "" || r.Issuer != b.idp.Issuer || r.Subject != "u-1" || r.Session != "s-u-1" || r.Cause == "" {
		t.Errorf("%+v, %v", r, err)
	}
}

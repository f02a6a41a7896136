package identity

import "sallyport/internal/access"

// Lookup gives a principal by name without any credentials, for `sallyport policy explain`, which asks
// what they could do. No door may reach it: only the core holds a Store.
func (s *Store) Lookup(name string) (access.Principal, bool) {
	u := s.users[name]
	if u == nil {
		return access.Principal{}, false
	}
	return clonePrincipal(u.principal), true
}

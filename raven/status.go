package raven

import "strconv"

// A Status is the result of an attempt to log in (section 3 of the protocol).
type Status int

// All statuses of the protocol.
const (
	StatusSuccess             Status = 200
	StatusCancelled           Status = 410 // by the user
	StatusNoAuthTypes         Status = 510 // the service has none of the types in AAuth
	StatusUnsupportedVersion  Status = 520
	StatusBadRequest          Status = 530
	StatusInteractionRequired Status = 540 // IAct was MustNot
	StatusNotAuthorised       Status = 560 // this agent may not use the service
	StatusDeclined            Status = 570 // on this occasion
)

// String returns the short name that other implementations use, such as "cancelled", or the number
// if the status is unknown.
func (s Status) String() string {
	if name, _ := s.text(); name != "" {
		return name
	}
	return strconv.Itoa(int(s))
}

// Description returns a sentence for users that explains the status, or "" if the status is
// unknown.
func (s Status) Description() string {
	_, sentence := s.text()
	return sentence
}

func (s Status) text() (name, sentence string) {
	switch s {
	case StatusSuccess:
		return "success", "You have logged in."
	case StatusCancelled:
		return "cancelled", "You cancelled the login."
	case StatusNoAuthTypes:
		return "noatypes", "The login service knows no way to log in that this site accepts."
	case StatusUnsupportedVersion:
		return "unsupported_version",
			"The login service does not know the version of the protocol that this site speaks."
	case StatusBadRequest:
		return "bad_request", "The login service did not understand what this site asked for."
	case StatusInteractionRequired:
		return "interaction_required", "You have to log in, and this site asked not to trouble you."
	case StatusNotAuthorised:
		return "waa_not_authorised", "This site may not use the login service."
	case StatusDeclined:
		return "authentication_declined", "The login service declined to log you in this time."
	default:
		return "", ""
	}
}

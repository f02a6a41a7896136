# Connects with libpq 18 (argv[1]) to a conninfo (argv[2]) with the access token in TOKEN, as a program that has one does
# (libpq chapter "OAuth Support", PQsetAuthDataHook), and prints a document, scope and the answer to ECHO abc.
import ctypes, os, sys

pq = ctypes.CDLL(sys.argv[1])
token = ctypes.create_string_buffer(os.environ["TOKEN"].encode())


class Request(ctypes.Structure):  # PGoauthBearerRequest
    _fields_ = [
        ("openid_configuration", ctypes.c_char_p),
        ("scope", ctypes.c_char_p),
        ("async", ctypes.c_void_p),
        ("cleanup", ctypes.c_void_p),
        ("token", ctypes.c_void_p),
        ("user", ctypes.c_void_p),
    ]


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def hook(kind, conn, data):
    if kind != 1:  # PQAUTHDATA_OAUTH_BEARER_TOKEN
        return 0
    r = ctypes.cast(data, ctypes.POINTER(Request)).contents
    print(r.openid_configuration.decode(), "|", r.scope.decode())
    r.token = ctypes.cast(token, ctypes.c_void_p)
    return 1


pq.PQsetAuthDataHook(hook)
for name in ("PQconnectdb", "PQexec"):
    getattr(pq, name).restype = ctypes.c_void_p
for name in ("PQerrorMessage", "PQgetvalue"):
    getattr(pq, name).restype = ctypes.c_char_p
conn = ctypes.c_void_p(pq.PQconnectdb(sys.argv[2].encode()))
if pq.PQstatus(conn) != 0:
    sys.exit(pq.PQerrorMessage(conn).decode())
result = ctypes.c_void_p(pq.PQexec(conn, b"ECHO abc"))
print(pq.PQgetvalue(result, 0, 0).decode())

"""What a run is recorded as when its server misbehaves in one of 40 ways.

Where the reason could be another, it is the one that tells the person on call where to look:

| misbehaviour | recorded as | because |
| --- | --- | --- |
| 2 blackhole SYN | timeout, connect | a firewall drops packets; a refusal would be `connect` |
| 4-6 RST before the head is whole | read, headers | the server heard it, so it may have acted |
| RST before the request is written | write, write | the server cannot have acted |
| 8, 39 FIN before the head is whole | protocol, headers | it was closed on purpose, without an answer |
| 7, 20, 24-26, 39 body cut or broken | protocol, body, status kept | H3: the status came, its work did not |
| 11, 12 body without end | success, truncated | H3: at most 1 MiB is read, the status decides |
| 13, 14 head above 64 KiB | protocol, headers | no server means it |
| 15, 16 more than 16 interim answers | protocol, headers | no server means it; one alone is legal |
| 17 a switch that nobody asked for | protocol, headers | what follows would not be HTTP |
| 18, 19 whatever encoding | success | H4: nothing is decoded, so nothing can be wrong or grow |
| 21 more body than was announced | success | the answer is whole; the connection ends anyway |
| 22 two lengths | protocol, headers | where the body ends would be a guess |
| 23 length and chunks | success | RFC 9112 6.3: chunks win |
| 29 status 099, 20 | protocol, headers | RFC 9112 4: three digits, and 099 is no class |
| 29 status 600, 999 | http_status | the server says something, though nobody knows what |
| 30 CR inside the reason | protocol, headers | a line break to some, so where the line ends is a guess |
| 30 ESC, 0xFF in the reason | success | H7: it is never shown |
| 31 body where there is none | 204 success, 304 http_status | the status decides; what follows is not read |
| 32-34 redirect | http_status | H2: never followed, so that no other server hears of it |
| 35 plain text that waits | timeout, tls | nothing tells it from a slow handshake |
| 36 never reads | timeout, write | while bytes are left that the system did not take; then headers |
| 37 answered before the body was read | http_status | the answer is whole, and says why |
| 38 1,000 addresses | connect, connect | the first eight are tried, no more |
| 38 name moved to a forbidden address | policy, connect | the address connected to is what is checked |
"""

HEARD = "connected asked said closed"
HUNG_UP = "connected asked said left"
# What becomes of a run: outcome, reason, phase, status; and what happened at the server.
EXPECTED = {
    "1 refuse": ("failure connect connect", ""),
    "2 blackhole SYN": ("failure timeout connect", ""),
    "3 accept, then silence": ("failure timeout headers", "connected left"),
    "4 RST after accept": ("failure read headers", "connected reset"),
    "5 RST after request": ("failure read headers", "connected asked reset"),
    "6 RST mid-header": ("failure read headers", "connected asked said reset"),
    "7 RST mid-body": ("failure protocol body 200", "connected asked said reset"),
    "8 close with no bytes": ("failure protocol headers", "connected asked closed"),
    "9 1 byte / 0.3 s header drip": ("failure timeout headers", HUNG_UP),
    "10 body drip": ("failure timeout body 200", HUNG_UP),
    "11 endless fast body": ("success 200, 1048576 bytes truncated", HUNG_UP),
    "12 endless chunked": ("success 200, 1048576 bytes truncated", HUNG_UP),
    "13 endless headers": ("failure protocol headers", HUNG_UP),
    "14 one 1 MB header": ("failure protocol headers", HUNG_UP),
    "15 endless 100-Continue": ("failure protocol headers", HUNG_UP),
    "16 endless 103": ("failure protocol headers", HUNG_UP),
    "17 101 Switching": ("failure protocol headers", HEARD),
    "18 gzip bomb 1 GiB": ("success 200, 1044172 bytes", HEARD),
    "19 wrong Content-Encoding": ("success 200, 7 bytes", HEARD),
    "20 Content-Length too long": ("failure protocol body 200", HEARD),
    "21 Content-Length too short": ("success 200, 9 bytes", HEARD),
    "22 two Content-Lengths": ("failure protocol headers", HEARD),
    "23 CL + TE": ("success 200, 3 bytes", HEARD),
    "24 bad chunk size": ("failure protocol body 200", HEARD),
    "25 truncated chunk": ("failure protocol body 200", HEARD),
    "26 trailers flood": ("failure protocol body 200", HUNG_UP),
    "27 HTTP/0.9": ("failure protocol headers", HEARD),
    "28 binary garbage": ("failure protocol headers", HEARD),
    "29 status 099": ("failure protocol headers", HEARD),
    "29 status 20": ("failure protocol headers", HEARD),
    "29 status 600": ("failure http_status 600", HEARD),
    "29 status 999": ("failure http_status 999", HEARD),
    "30 reason with ESC, 0xFF": ("success 200, 2 bytes", HEARD),
    "30 reason with CR": ("failure protocol headers", HEARD),
    "31 204 with a body": ("success 204, 0 bytes", HEARD),
    "31 304 with a body": ("failure http_status 304", HEARD),
    "32 redirect loop": ("failure http_status 302", HEARD),
    "33 cross-host redirect": ("failure http_status 302", HEARD),
    "34 redirect to file:": ("failure http_status 302", HEARD),
    "35 TLS expired": ("failure tls tls", "connected left"),
    "35 TLS self-signed": ("failure tls tls", "connected left"),
    "35 TLS wrong host": ("failure tls tls", "connected left"),
    "35 TLS 1.0": ("failure tls tls", "connected left"),
    "35 TLS plaintext": ("failure tls tls", "connected said closed"),
    "35 TLS plaintext that waits": ("failure timeout tls", "connected left"),
    "36 never reads the request body": ("failure timeout write", "connected closed"),
    "37 answers before reading the body, then RST": (
        "failure http_status 413",
        "connected asked said reset",
    ),
    "38 DNS NXDOMAIN": ("failure dns dns", ""),
    "38 DNS 60 s hang": ("failure timeout dns", ""),
    "38 DNS 1,000 A records": ("failure connect connect", ""),
    "38 DNS v6-only blackhole + v4": ("success 200, 2 bytes", HEARD),
    "38 DNS rebinding after the check": ("success 200, 2 bytes", HEARD),
    "38 DNS rebinding to metadata": ("failure policy connect", ""),
    "38 DNS rebinding to a private address": ("failure policy connect", ""),
    "39 half-close with no bytes, keep open": (
        "failure protocol headers",
        "connected asked half closed left",
    ),
    "39 half-close mid-body, keep open": (
        "failure protocol body 200",
        "connected asked said half closed left",
    ),
    "39 half-close after the body, keep open": (
        "success 200, 5 bytes",
        "connected asked said half closed left",
    ),
    "40 200 after 10 x deadline": ("failure timeout headers", "connected asked left said closed"),
}


def waits(name):
    """Say whether only the deadline ends a run of this misbehaviour."""
    return "timeout" in EXPECTED[name][0]


def told(run):
    """Put a record in words; of a failure not its bytes, for how many came is chance."""
    words = [run.get(name) for name in ("outcome", "reason", "phase", "status_code")]
    text = " ".join(str(word) for word in words if word is not None)
    if run["outcome"] == "success":
        text += f", {run['response_bytes']} bytes" + " truncated" * run.get("truncated", False)
    return text

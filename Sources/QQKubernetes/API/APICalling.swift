import QQCore
import QQHTTP

/// A request to the API server.
package struct APIRequest: Sendable, Hashable {
    package var method: HTTPRequest.Method
    /// The path below the server's own, without query: `/apis/coordination.k8s.io/v1/namespaces/team/leases`. Its parts are percent-encoded.
    package var path: String
    /// The parameters of the query, not encoded yet.
    package var query: [HTTPRequest.Field] = []
    package var body: JSONValue?

    package init(method: HTTPRequest.Method, path: String, query: [HTTPRequest.Field] = [], body: JSONValue? = nil) {
        self.method = method
        self.path = path
        self.query = query
        self.body = body
    }
}

/// An answer of the API server with a status of 200 to 299.
package struct APIAnswer: Sendable, Hashable {
    package var status: Int
    /// The document; null if the answer is not JSON, as those of `/readyz` are.
    package var body: JSONValue
    /// The body as text, for answers that are not JSON.
    package var text: String
    /// The server's time when it answered, to the second, by `Date` (RFC 9110, section 6.6.1); nil if it is not known.
    package var date: WallTime?

    package init(status: Int, body: JSONValue, text: String, date: WallTime? = nil) {
        self.status = status
        self.body = body
        self.text = text
        self.date = date
    }
}

/// An answer of the API server with another status, or none at all.
package struct APIFailure: Error, Sendable, Hashable {
    /// The HTTP status; nil if there was no answer.
    package var status: Int?
    /// `reason` of the Status object, such as `AlreadyExists`; nil if there is none. Nothing should depend on it alone.
    package var reason: String?
    /// `message` of the Status object, or the reason of the failure, safe to show.
    package var message: String
    /// `details.kind`, such as `namespaces`; nil if there is none.
    package var kind: String?
    /// `details.causes[].reason`.
    package var causes: [String] = []
    /// How long the server asks to wait, by `Retry-After` or `details.retryAfterSeconds`; nil if it does not.
    package var retryAfter: Duration?
    /// The transport's failure, if there was no answer.
    package var transport: HTTPFailure?
    /// The reason that there was no credential to send the request with, such as an exec plugin that failed. Nothing was sent then.
    package var preparation: CoordinationError?
    /// The server that was asked, as host:port.
    package var endpoint: String
    /// The credential that was used and where it came from, without the credential itself: `the token of user "ops" (/home/me/.kube/config)`.
    package var credential: String

    package init(
        status: Int? = nil, reason: String? = nil, message: String, kind: String? = nil, causes: [String] = [], retryAfter: Duration? = nil,
        transport: HTTPFailure? = nil, preparation: CoordinationError? = nil, endpoint: String, credential: String
    ) {
        self.status = status
        self.reason = reason
        self.message = message
        self.kind = kind
        self.causes = causes
        self.retryAfter = retryAfter
        self.transport = transport
        self.preparation = preparation
        self.endpoint = endpoint
        self.credential = credential
    }

    /// Whether a write might have been carried out, or still be carried out later: an answer of 500 and more, or none after the request was sent. A proxy such as
    /// Envoy also answers 408 in place of a server that took the request and is silent.
    package var isUncertain: Bool { status.map { $0 >= 500 || $0 == 408 } ?? transport?.wasSent ?? false }
}

/// Calls to the API server. Elections see no more of the network than this.
package protocol APICalling: Sendable {
    /// The server's URL without credentials, for messages.
    var endpoint: String { get }

    /// Starts to connect, so that the first call finds a connection. Starts no thread before the first call of any kind of the process.
    func prepare()

    /// Sends a request once, and waits for the answer until `deadline`. A request that certainly was not carried out, because an idle connection had
    /// ended, can be sent again; and a request with a token that has expired (401) is sent again once with a new one, if there is one.
    func call(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> APIAnswer

    /// Sends a request whose answer comes as one JSON document a line until the server ends it, as watches do. Returns when the head of the answer
    /// has come, until `deadline`. The stream throws `APIFailure`; it ends with the server's stream, and the request ends with the reading task.
    func stream(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> AsyncThrowingStream<JSONValue, any Error>

    /// Closes connections.
    func close() async
}

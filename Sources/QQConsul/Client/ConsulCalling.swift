import QQCore
import QQHTTP

/// A request to an agent.
package struct ConsulRequest: Sendable, Hashable {
    package var method: HTTPRequest.Method
    /// The path, percent-encoded, without query: `/v1/kv/web/.lock`.
    package var path: String
    /// The parameters of the query, not encoded yet. One with an empty value is sent as its name alone.
    package var query: [HTTPRequest.Field] = []
    package var body: JSONValue?
    /// Whether the request can be carried out twice, and thus be sent to the next agent although this one might have passed it on.
    package var isRepeatable = false
    /// Whether the server answers only when something changes. The request then has a connection of its own.
    package var isBlocking = false

    /// Path and query, percent-encoded.
    package var target: String {
        guard !query.isEmpty else { return path }
        let items = query.map { $0.value.isEmpty ? Percent.encode($0.name) : Percent.encode($0.name) + "=" + Percent.encode($0.value) }
        return path + "?" + items.joined(separator: "&")
    }
}

/// An answer of an agent, whatever its status.
package struct ConsulAnswer: Sendable, Hashable {
    /// The HTTP status.
    var status: Int
    /// `X-Consul-Index`, for blocking queries; nil if there is none.
    var index: UInt64?
    /// The document; null if the answer is not JSON, as errors are not.
    var body: JSONValue
    /// The body as text on one line, bounded and safe to show, if it is not JSON.
    var text: String
    /// The agent that answered, as host:port.
    var endpoint: String

    init(status: Int, index: UInt64? = nil, body: JSONValue = .null, text: String = "", endpoint: String) {
        self.status = status
        self.index = index
        self.body = body
        self.text = text
        self.endpoint = endpoint
    }

    private static let longestText = 1_000

    package init(_ found: HTTPAnswer, from endpoint: String) {
        let document = try? JSONValue.parse(found.body)
        var text = ""
        if document == nil {
            let line = UTF8Text.escaping(found.body.prefix(Self.longestText)).split(whereSeparator: \.isNewline).joined(separator: " ")
            text = line.hasPrefix("<") ? "" : Printable.text(line)
        }
        self.init(
            status: found.status, index: found.field("X-Consul-Index").flatMap { UInt64($0) }, body: document ?? .null, text: text,
            endpoint: endpoint)
    }
}

/// Calls to the agents of a cluster. Elections see no more of the network than this.
package protocol ConsulCalling: Sendable {
    /// The agents as host:port, in the order of the URL.
    var endpoints: [String] { get }

    /// Starts to connect, so that the first call finds a connection.
    func prepare()

    /// Sends a request to the agent that answered last, and to the next ones if that one is away or certainly did not pass the request on.
    /// - Throws: `ConsulFailure` if no agent answered, or none of them could carry the request out: status 403, 429 and 500 and more.
    func call(_ request: ConsulRequest, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer

    /// Sends a request once, to the agent at this place of `endpoints`.
    func call(_ request: ConsulRequest, at endpoint: Int, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer

    /// Closes connections.
    func close() async
}

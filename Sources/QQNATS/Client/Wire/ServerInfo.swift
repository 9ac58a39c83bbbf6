import QQCore

/// A server's INFO.
///
/// Unknown members are ignored, and missing members have the protocol's defaults.
package struct ServerInfo: Sendable, Hashable {
    var serverID = ""
    var serverName = ""
    /// As the server writes it, such as "2.12.8" or "2.11.0-RC.1".
    package var version = ""
    /// 1 if the server announces changes with further INFO lines.
    var proto = 0
    /// Whether messages can have headers.
    package var headers = false
    /// The largest message that the server accepts, in bytes, headers included.
    var maxPayload = Self.defaultMaxPayload
    package var jetStream = false
    var authRequired = false
    /// Whether the server requires TLS.
    var tlsRequired = false
    /// Whether the server requires a client certificate.
    var tlsVerify = false
    /// Whether the server uses TLS with clients that ask for it.
    var tlsAvailable = false
    /// Nonce that NKeys sign; nil if the server does not support NKeys.
    var nonce: String?
    /// The cluster's other servers, as host:port.
    package var connectURLs: [String] = []
    /// Whether the server is about to stop (`ldm`).
    var isLameDuck = false
    var cluster: String?
    var domain: String?
    /// The connection's number on this server.
    var clientID: UInt64?
    var host = ""
    var port = 0

    /// The server's own default, 1 MiB.
    static let defaultMaxPayload = 1 << 20

    package init() {}

    /// Reads INFO's JSON.
    ///
    /// - Throws: ``NATSError`` of kind `malformed` if it is not a JSON object, or if a member on which the connection depends has another type.
    init(json: some Collection<UInt8>) throws(NATSError) {
        let document: JSONValue
        do {
            document = try JSONValue.parse(json)
        } catch {
            throw NATSError(.malformed, "INFO is not JSON: \(Printable.text(error.description))")
        }
        guard let object = document.objectValue else { throw NATSError(.malformed, "INFO is not a JSON object") }
        serverID = object["server_id"]?.stringValue ?? ""
        serverName = object["server_name"]?.stringValue ?? ""
        version = object["version"]?.stringValue ?? ""
        proto = object["proto"]?.int64Value.flatMap { Int(exactly: $0) } ?? 0
        cluster = object["cluster"]?.stringValue
        domain = object["domain"]?.stringValue
        clientID = object["client_id"]?.uint64Value
        host = object["host"]?.stringValue ?? ""
        port = object["port"]?.int64Value.flatMap { Int(exactly: $0) } ?? 0

        headers = try Self.flag("headers", in: object)
        jetStream = try Self.flag("jetstream", in: object)
        authRequired = try Self.flag("auth_required", in: object)
        tlsRequired = try Self.flag("tls_required", in: object)
        tlsVerify = try Self.flag("tls_verify", in: object)
        tlsAvailable = try Self.flag("tls_available", in: object)
        isLameDuck = try Self.flag("ldm", in: object)
        maxPayload = try Self.member("max_payload", in: object) { $0.int64Value.flatMap { $0 > 0 ? Int(exactly: $0) : nil } } ?? maxPayload
        nonce = try Self.member("nonce", in: object) { $0.stringValue }
        if nonce == "" { nonce = nil }
        connectURLs = try Self.member("connect_urls", in: object) { $0.arrayValue }?.compactMap(\.stringValue) ?? []
    }

    /// The numbers of `version`, without suffixes; zero for each missing number. Compare with `>=`.
    var versionNumbers: (major: Int, minor: Int, patch: Int) {
        let parts = version.split(separator: ".", omittingEmptySubsequences: false).prefix(3).map { part in
            Int(part.prefix { $0.isASCII && $0.isNumber }) ?? 0
        }
        return (parts.first ?? 0, parts.count > 1 ? parts[1] : 0, parts.count > 2 ? parts[2] : 0)
    }

    private static func flag(_ name: String, in object: JSONObject) throws(NATSError) -> Bool {
        try member(name, in: object) { $0.boolValue } ?? false
    }

    /// Returns nil if the member is missing or null.
    private static func member<Value>(_ name: String, in object: JSONObject, _ read: (JSONValue) -> Value?) throws(NATSError) -> Value? {
        guard let value = object[name], !value.isNull else { return nil }
        guard let read = read(value) else { throw NATSError(.malformed, "INFO has a \(name) of the wrong type or out of range") }
        return read
    }
}

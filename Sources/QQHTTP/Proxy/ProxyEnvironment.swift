import QQNetwork

extension HTTPProxy {
    /// The proxy that the environment names for a server, by the rules of Go (golang.org/x/net/http/httpproxy), which Kubernetes' other clients
    /// follow: `HTTPS_PROXY` or `https_proxy` for servers with TLS, `HTTP_PROXY` or `http_proxy` for others, except for the servers in `NO_PROXY` or
    /// `no_proxy` and those on this machine. Pure.
    ///
    /// - Parameter variables: returns the value of a variable of the environment.
    /// - Throws: `HTTPProxyError` with the variable's name.
    public static func fromEnvironment(
        for server: HTTPServer, _ variables: (String) -> String?
    ) throws(HTTPProxyError) -> HTTPProxy? {
        func first(_ names: [String]) -> (name: String, value: String)? {
            for name in names { if let value = variables(name), !value.isEmpty { return (name, value) } }
            return nil
        }
        let names = server.scheme == .https ? ["HTTPS_PROXY", "https_proxy"] : ["HTTP_PROXY", "http_proxy"]
        guard let (name, value) = first(names) else { return nil }
        guard !ProxyExceptions(first(["NO_PROXY", "no_proxy"])?.value ?? "").contain(server.host, port: server.port) else { return nil }
        do { return try HTTPProxy(url: value) } catch {
            var error = error
            error.variable = name
            throw error
        }
    }
}

/// The servers that are asked without a proxy: the list in `NO_PROXY`. Pure.
struct ProxyExceptions {
    private enum Entry {
        case address(IPAddress, port: String?)
        case network(IPAddress, bits: Int)
        /// A domain with a dot in front; `includesItself` if the domain itself is meant, too, besides the hosts in it.
        case domain(String, port: String?, includesItself: Bool)
    }

    private var entries: [Entry] = []
    private var containsAll = false

    init(_ list: String) {
        for part in list.split(separator: ",") {
            let text = Self.trimmed(part).lowercased()
            if text == "*" {
                containsAll = true
                return
            }
            if let entry = Self.entry(text) { entries.append(entry) }
        }
    }

    /// An entry of the list; nil for text without a host, which is skipped.
    private static func entry(_ text: String) -> Entry? {
        guard !text.isEmpty else { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 2, let network = IPAddress(String(parts[0])), let bits = Int(parts[1]), 0...network.bytes.count * 8 ~= bits {
            return .network(network, bits: bits)
        }
        var (host, port) = (text, String?.none)
        if IPAddress(text) == nil, let colon = text.lastIndex(of: ":") {
            host = String(text[..<colon])
            port = String(text[text.index(after: colon)...])
            if port == "" { port = nil }
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        if let address = IPAddress(host) { return .address(address.unmapped, port: port) }
        if host.hasPrefix("*.") { host.removeFirst() }
        guard !host.isEmpty else { return nil }
        return host.hasPrefix(".")
            ? .domain(host, port: port, includesItself: false) : .domain("." + host, port: port, includesItself: true)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let start = text.drop { $0.isWhitespace }
        return start[..<(start.lastIndex { !$0.isWhitespace }.map { start.index(after: $0) } ?? start.startIndex)]
    }

    /// Whether this server is asked without a proxy. Servers on this machine always are.
    func contain(_ host: String, port: Int) -> Bool {
        let host = host.lowercased()
        let address = IPAddress(host)?.unmapped
        if host == "localhost" || address?.isLoopback == true || containsAll { return true }
        return entries.contains { entry in
            switch entry {
            case .network(let network, let bits): address?.isIn(network, bits: bits) ?? false
            case .address(let wanted, let wantedPort): address == wanted && (wantedPort ?? "\(port)") == "\(port)"
            case .domain(let domain, let wantedPort, let includesItself):
                (host.hasSuffix(domain) || (includesItself && host == domain.dropFirst())) && (wantedPort ?? "\(port)") == "\(port)"
            }
        }
    }
}

import QQCore
import QQHTTP
import QQNetwork
import Yams

/// A cluster of a kubeconfig: the API server and how to reach it.
struct ClusterEntry {
    let value: KubeconfigValue
    let server: HTTPServer
    let tls: TLSOptions
    /// nil if `proxy-url` is not set.
    let proxy: HTTPProxy?

    /// - Parameter hasCertificate: whether the user has a client certificate. It decides on the scheme of a server that has none.
    init(_ value: KubeconfigValue, hasCertificate: Bool) throws(CoordinationError) {
        self.value = value
        let isUnchecked = try value.flag("insecure-skip-tls-verify")
        var tls = TLSOptions()
        tls.authority = try value.pem("certificate-authority")
        tls.checksServer = !isUnchecked
        tls.serverName = try value.text("tls-server-name")
        if let name = tls.serverName, !Self.isName(name) {
            throw value.wrong("its tls-server-name cannot be the name of a server", value.node("tls-server-name"))
        }
        tls.hints = TLSHints(
            authority: "certificate-authority of \(value.title) names the authorities to trust (\(Printable.text(value.path)))",
            certificate: "the user's client-certificate and client-key in the kubeconfig name the client certificate",
            serverName: "use that name in server, or name the expected one with tls-server-name, in \(value.title)"
        )
        if isUnchecked, tls.authority != nil {
            throw value.wrong(
                "it has both insecure-skip-tls-verify and a certificate-authority", value.node("insecure-skip-tls-verify"),
                hint: "leave out insecure-skip-tls-verify")
        }
        self.tls = tls
        guard let text = try value.text("server") else { throw value.wrong("it has no server") }
        guard let server = Self.server(text, isSecure: isUnchecked || tls.authority != nil || hasCertificate) else {
            throw value.wrong("its server is not a URL such as https://HOST:6443", value.node("server"))
        }
        self.server = server
        if let text = try value.text("proxy-url") {
            do throws(HTTPProxyError) { proxy = try HTTPProxy(url: text) } catch {
                throw value.wrong("its proxy-url \(error.description)", value.node("proxy-url"))
            }
        } else {
            proxy = nil
        }
    }

    /// Whether SNI can request a server of this name, or it is an address (RFC 6066, section 3).
    private static func isName(_ text: String) -> Bool { 1...255 ~= text.utf8.count && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f } }

    /// - Parameter isSecure: whether a server that is written without scheme is asked over TLS.
    static func server(_ text: String, isSecure: Bool) -> HTTPServer? {
        if text.utf8.contains(UInt8(ascii: "/")), let url = HTTPServer(url: text) { return url }
        // HOST or HOST:PORT, which can have no path.
        guard !text.utf8.contains(UInt8(ascii: "/")) else { return nil }
        return HTTPServer(url: (isSecure ? "https://" : "http://") + text)
    }

    /// The description of the cluster for exec plugins (client.authentication.k8s.io, `spec.cluster`).
    func description() throws(CoordinationError) -> JSONValue {
        var cluster: JSONObject = ["server": .string(server.description)]
        if let name = tls.serverName { cluster["tls-server-name"] = .string(name) }
        if !tls.checksServer { cluster["insecure-skip-tls-verify"] = true }
        switch tls.authority?.content {
        case .bytes(let bytes): cluster["certificate-authority-data"] = .string(Base64.encode(bytes))
        case .file(let path):
            do throws(SmallFile.Problem) {
                cluster["certificate-authority-data"] = .string(Base64.encode(try SmallFile.read(path, upTo: Self.largestAuthorities)))
            } catch { throw .kubeconfig("\(value.title): its certificate-authority cannot be read: \(error.reason)", path) }
        case nil: break
        }
        if let proxy = try value.text("proxy-url") { cluster["proxy-url"] = .string(proxy) }
        if try value.flag("disable-compression") { cluster["disable-compression"] = true }
        for item in try value.values("extensions") where try item.text("name") == "client.authentication.k8s.io/exec" {
            cluster["config"] = item.node("extension").map { Self.json($0) } ?? .null
        }
        return .object(cluster)
    }

    private static let largestAuthorities = 1 << 20

    /// A part of the file as JSON, with the types that plain scalars of YAML have.
    static func json(_ node: Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            return .object(JSONObject(mapping.map { .init(name: $0.key.scalar?.string ?? "", value: json($0.value)) }))
        case .sequence(let sequence): return .array(sequence.map(json))
        case .scalar(let scalar):
            if KubeconfigValue.isNull(node) { return .null }
            guard scalar.style == .plain else { return .string(scalar.string) }
            switch scalar.string {
            case "true", "True", "TRUE": return true
            case "false", "False", "FALSE": return false
            default: break
            }
            if let number = try? JSONValue.parse(scalar.string.utf8), number.doubleValue != nil { return number }
            return .string(scalar.string)
        case .alias: return .null
        }
    }
}

extension KubeconfigValue {
    /// The certificates or key of the field `key` (a path) or `key`-data (base64); nil if both are missing.
    func pem(_ key: String) throws(CoordinationError) -> PEMSource? {
        let hint = "\(key) of \(title) must be in PEM form (\(Printable.text(self.path)))"
        let path = try path(key)
        guard let node = node(key + "-data"), try text(key + "-data") != nil else { return path.map { .file($0, hint: hint) } }
        guard path == nil else { throw wrong("it has both \(key) and \(key)-data", node, hint: "leave one of them out") }
        guard let bytes = try data(key + "-data") else { return nil }
        return .bytes(bytes, from: "\(key)-data of \(title), \(Printable.text(self.path))", hint: "it must be in PEM form")
    }
}

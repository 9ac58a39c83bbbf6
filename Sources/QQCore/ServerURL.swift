/// Where elections live: a URL such as `nats://a:4222,b:4222`, or an absolute folder path, which means a `file` URL.
///
/// Text made of it (`description`, interpolation, reflection) never has the credentials; only `user`, `password` and `token` do.
public struct ServerURL: Sendable, Hashable {
    /// The kind of coordination system.
    public enum System: String, Sendable, Hashable, CaseIterable {
        /// Lease files in a folder of this machine: `file`.
        case file
        /// A Quorum Quest server over gRPC: `qq`, `qqs`.
        case quorumQuest = "quorum-quest"
        /// A RaftLock cluster over gRPC: `raftlock`, `raftlocks`.
        case raftLock = "raftlock"
        /// A NATS key-value bucket as go-cluster uses it: `nats`, `tls`.
        case nats
        /// Lease objects of a Kubernetes cluster: `k8s`.
        case kubernetes

        /// The name that users and JSON see: `file`, `quorum-quest`, `raftlock`, `nats` or `kubernetes`.
        public var name: String { rawValue }
    }

    /// One endpoint.
    public struct Host: Sendable, Hashable, CustomStringConvertible {
        /// A host name in lower case, an IPv4 address, or an IPv6 address without brackets, in canonical form, with `%ZONE` where given.
        /// For Kubernetes the name of the context, or `in-cluster`, decoded.
        public let name: String
        /// The TCP port, 1 to 65535, or nil for the system's usual one and for Kubernetes.
        public let port: Int?

        public init(name: String, port: Int? = nil) {
            self.name = name
            self.port = port
        }

        /// `host:5050`, `[::1]:5050`, `host`: for people and logs.
        public var description: String {
            let address = name.utf8.contains(UInt8(ascii: ":")) ? "[\(name)]" : name
            return port.map { "\(address):\($0)" } ?? address
        }
    }

    /// One `name=value` of the query, decoded. A name alone has an empty value.
    public struct QueryItem: Sendable, Hashable {
        /// What is set; never empty, nor the name of a secret.
        public let name: String
        /// What it is set to; a `+` means itself.
        public let value: String

        public init(name: String, value: String = "") {
            self.name = name
            self.value = value
        }
    }

    /// Why a text is no server URL. Neither part repeats the text, which may hold a password; only an unknown scheme is named.
    public struct Invalid: Error, Sendable, Hashable, CustomStringConvertible {
        /// What is wrong: "the port of host 2 is not a number from 1 to 65535".
        public let reason: String
        /// What to do: "write HOST:PORT".
        public let hint: String

        public init(reason: String, hint: String) {
            self.reason = reason
            self.hint = hint
        }

        /// Both parts on one line.
        public var description: String { "\(reason); \(hint)" }
    }

    /// The system that the scheme names.
    public var system: System { form.system }
    /// The scheme's name in lower case: `file`, `qq`, `qqs`, `raftlock`, `raftlocks`, `nats`, `tls` or `k8s`.
    public var scheme: String { form.rawValue }
    /// Whether the scheme asks for TLS. Kubernetes learns that from its context; there this is false.
    public var tls: Bool { form.tls }
    /// The user name, decoded.
    public let user: String?
    /// The password, decoded: a secret.
    public let password: String?
    /// For NATS, what stands before the `@` where it has no `:`, decoded: a secret.
    public let token: String?
    /// The endpoints in order: none for files; at most one, the context, for Kubernetes; at least one for the others.
    public let hosts: [Host]
    /// For files the absolute folder path, decoded and normalised by its text alone: no `.`, `..` or empty parts, and no slash at the end
    /// except in `/`. For Kubernetes the namespace after a slash, or empty. Empty for the others.
    public let path: String
    /// The items of the query in order, duplicates included.
    public let query: [QueryItem]

    private let form: Scheme

    init(
        scheme: Scheme, user: String? = nil, password: String? = nil, token: String? = nil, hosts: [Host] = [], path: String = "",
        query: [QueryItem] = []
    ) {
        form = scheme
        self.user = user
        self.password = password
        self.token = token
        self.hosts = hosts
        self.path = path
        self.query = query
    }

    /// The URL of a folder of lease files. The path is taken as it is, without decoding, and normalised.
    ///
    /// - Throws: ``Invalid`` unless the path is absolute and without NUL.
    public static func file(path: String) throws(Invalid) -> ServerURL {
        ServerURL(scheme: .file, path: try folder(path))
    }

    /// Reads a server URL, or an absolute path.
    ///
    /// Schemes: `file`, `qq`, `qqs`, `raftlock`, `raftlocks`, `nats`, `tls`, `k8s`, in any case. Source: RFC 3986, and RFC 8089 for files,
    /// with a list of hosts between commas, as NATS has it.
    ///
    /// - Throws: ``Invalid`` for anything else, and for a query item that is named like a secret.
    public static func parse(_ text: String) throws(Invalid) -> ServerURL {
        try ServerURLParser(text).url()
    }
}

extension ServerURL {
    enum Scheme: String, CaseIterable {
        case file, qq, qqs, raftlock, raftlocks, nats, tls, k8s

        var system: System {
            switch self {
            case .file: .file
            case .qq, .qqs: .quorumQuest
            case .raftlock, .raftlocks: .raftLock
            case .nats, .tls: .nats
            case .k8s: .kubernetes
            }
        }

        var tls: Bool {
            switch self {
            case .qqs, .raftlocks, .tls: true
            case .file, .qq, .raftlock, .nats, .k8s: false
            }
        }
    }

    /// An absolute path without `.`, `..` and empty parts.
    static func folder(_ path: String) throws(Invalid) -> String {
        guard path.utf8.first == UInt8(ascii: "/") else {
            throw Invalid(reason: "the folder's path is not absolute", hint: "write file:///FOLDER or /FOLDER")
        }
        guard !path.utf8.contains(0) else { throw Invalid(reason: "the folder's path has a NUL", hint: "take it out") }
        var parts: [Substring.UTF8View] = []
        for part in path[...].utf8.split(separator: UInt8(ascii: "/")) {
            switch String(Substring(part)) {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return "/" + parts.map { String(Substring($0)) }.joined(separator: "/")
    }
}

extension ServerURL: CustomStringConvertible, CustomReflectable {
    /// The canonical URL without its credentials, which `parse` reads: for files `file:///FOLDER`.
    public var description: String {
        var text = scheme + "://"
        text += hosts.map { system == .kubernetes ? Percent.encode($0.name, allowing: "@:") : authority(of: $0) }.joined(separator: ",")
        text += Percent.encode(path, allowing: "/@:+=,")
        let items = query.map { item in
            let name = Percent.encode(item.name, allowing: "/:,")
            return item.value.isEmpty ? name : name + "=" + Percent.encode(item.value, allowing: "/:,")
        }
        return text + (items.isEmpty ? "" : "?" + items.joined(separator: "&"))
    }

    /// Shows the description alone, to keep secrets out of dumps.
    public var customMirror: Mirror { Mirror(self, children: ["url": description]) }

    /// As in a URL: the `%` before an IPv6 zone is itself encoded (RFC 6874).
    private func authority(of host: Host) -> String {
        let zoned = host.name.utf8.split(separator: UInt8(ascii: "%"), maxSplits: 1).map { String(Substring($0)) }
        return Host(name: zoned.joined(separator: "%25"), port: host.port).description
    }
}

/// Where elections live: a URL such as `nats://a:4222,b:4222`, or an absolute folder path. Which URLs there are is data: see ``System``.
///
/// Text made of it (`description`, interpolation, reflection) never has the credentials; only `user`, `password` and `token` do.
public struct ServerURL: Sendable, Hashable {
    /// One endpoint.
    public struct Host: Sendable, Hashable, CustomStringConvertible {
        /// A host name in lower case, an IPv4 address, or an IPv6 address without brackets, in canonical form, with `%ZONE` where given.
        /// For a system whose URLs have one name in place of hosts, that name, decoded.
        public let name: String
        /// The TCP port, 1 to 65535, or nil for the system's usual one.
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

    /// A `name=value` of the query, decoded. A name alone has an empty value.
    public struct QueryItem: Sendable, Hashable {
        /// The name of the option; never empty, nor the name of a secret.
        public let name: String
        /// The value of the option; a `+` means itself.
        public let value: String

        public init(name: String, value: String = "") {
            self.name = name
            self.value = value
        }
    }

    /// Why a text is no server URL. Neither part repeats the text, which may hold a password; only an unknown scheme is named.
    public struct Invalid: Error, Sendable, Hashable, CustomStringConvertible {
        /// The reason, such as "the port of host 2 is not a number from 1 to 65535".
        public let reason: String
        /// The remedy, such as "write HOST:PORT".
        public let hint: String

        public init(reason: String, hint: String) {
            self.reason = reason
            self.hint = hint
        }

        /// Both parts on one line.
        public var description: String { "\(reason); \(hint)" }
    }

    /// The system that the scheme names.
    public let system: System
    /// The scheme's name in lower case, such as `nats`.
    public var scheme: String { form.name }
    /// Whether the scheme asks for TLS.
    public var tls: Bool { form.tls }
    /// The user name, decoded.
    public let user: String?
    /// The password, decoded: a secret.
    public let password: String?
    /// The text before the `@` without a `:`, decoded, if the system takes that for a token: a secret.
    public let token: String?
    /// The endpoints in order, as many as the system's ``Authority`` has.
    public let hosts: [Host]
    /// The path, decoded, as the system's ``Path`` has it: a folder is normalised by its text alone, without `.`, `..` and empty parts, and without a slash
    /// at the end except in `/`; a prefix and a single part begin with a slash, or are empty.
    public let path: String
    /// The items of the query in order, duplicates included.
    public let query: [QueryItem]

    private let form: Scheme

    init(
        system: System, scheme: Scheme, user: String? = nil, password: String? = nil, token: String? = nil, hosts: [Host] = [],
        path: String = "",
        query: [QueryItem] = []
    ) {
        self.system = system
        form = scheme
        self.user = user
        self.password = password
        self.token = token
        self.hosts = hosts
        self.path = path
        self.query = query
    }

    /// The TCP port of one of the hosts: the one in the URL, else the usual port of the system.
    public func port(of host: Host) -> Int {
        if let port = host.port { return port }
        if case .hosts(_, _, let port) = system.authority { return port }
        return 0
    }

    /// The URL of a folder. The path is taken as it is, without decoding, and normalised.
    ///
    /// - Parameter system: one whose URLs are folders.
    /// - Throws: ``Invalid`` unless the path is absolute and without NUL.
    public static func folder(_ path: String, of system: System) throws(Invalid) -> ServerURL {
        guard let scheme = system.schemes.first, system.isFolder else {
            throw Invalid(reason: "\(system.name) has no folders", hint: "write a URL")
        }
        return ServerURL(system: system, scheme: scheme, path: try normalised(folder: path, scheme))
    }

    /// Reads a server URL, or an absolute path if one of the systems keeps its elections in folders.
    ///
    /// A scheme can be written in any case. Source: RFC 3986, and RFC 8089 for files, with a list of hosts between commas, as NATS has it.
    ///
    /// - Parameter systems: those whose URLs are known.
    /// - Throws: ``Invalid`` for anything else, and for a query item that is named like a secret.
    public static func parse(_ text: String, as systems: [System]) throws(Invalid) -> ServerURL {
        try ServerURLParser(text, systems).url()
    }
}

extension ServerURL {
    /// An absolute path without `.`, `..` and empty parts.
    static func normalised(folder path: String, _ scheme: Scheme) throws(Invalid) -> String {
        guard path.utf8.first == UInt8(ascii: "/") else {
            throw Invalid(reason: "the folder's path is not absolute", hint: "write \(scheme.name):///FOLDER or /FOLDER")
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
    /// The canonical URL without its credentials, which `parse` reads; for a folder with three slashes, such as `file:///FOLDER`.
    public var description: String {
        var text = scheme + "://"
        text += hosts.map { host in
            if case .name = system.authority { Percent.encode(host.name, allowing: "@:") } else { authority(of: host) }
        }.joined(separator: ",")
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

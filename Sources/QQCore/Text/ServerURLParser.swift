import Glibc

/// Parses a server URL. Its errors quote only an unknown scheme from the text, so that they never show a password.
struct ServerURLParser {
    typealias Invalid = ServerURL.Invalid
    private typealias Bytes = ArraySlice<UInt8>

    private let text: String
    private let systems: [ServerURL.System]

    init(_ text: String, _ systems: [ServerURL.System]) {
        self.text = text
        self.systems = systems
    }

    func url() throws(Invalid) -> ServerURL {
        let bytes = Array(text.utf8)[...]
        if bytes.isEmpty { throw Invalid(reason: "the server URL is empty", hint: forms) }
        if bytes.first == UInt8(ascii: "/"), let folders = systems.first(where: \.isFolder) { return try .folder(text, of: folders) }
        if bytes.contains(where: { $0 <= 0x20 || $0 == 0x7F }) {
            throw Invalid(reason: "the server URL has white space or control characters", hint: "encode them, a space as %20")
        }
        if bytes.contains(UInt8(ascii: "#")) {
            throw Invalid(reason: "a server URL has no fragment (#)", hint: "write # as %23, in a password too")
        }
        let (system, scheme, rest) = try scheme(bytes)
        let (hierarchy, query) = Self.cut(rest, at: "?")
        let slash = hierarchy.firstIndex(of: UInt8(ascii: "/")) ?? hierarchy.endIndex
        let (authority, pathText) = (hierarchy[..<slash], hierarchy[slash...])
        let items = try items(query ?? [])
        switch system.authority {
        case .none:
            try checkLocal(authority, system, scheme)
            return ServerURL(system: system, scheme: scheme, path: try path(pathText, system, scheme), query: items)
        case .name(let what):
            let path = try path(pathText, system, scheme)
            let name = try decode(authority, what)
            return ServerURL(
                system: system, scheme: scheme, hosts: name.isEmpty ? [] : [ServerURL.Host(name: name)], path: path, query: items)
        case .hosts(let areRequired, let loneUserIsToken, _):
            let path = try path(pathText, system, scheme)
            let (login, hosts) = try hosts(authority, areRequired, loneUserIsToken)
            return ServerURL(
                system: system, scheme: scheme, user: login.user, password: login.password, token: login.token, hosts: hosts, path: path,
                query: items)
        }
    }

    // MARK: Scheme

    private var forms: String {
        let known = systems.flatMap(\.schemes).map { $0.name + "://" }.joined(separator: ", ")
        return (systems.contains(where: \.isFolder) ? "give an absolute folder path, or a URL" : "give a URL")
            + " that begins with one of \(known)"
    }

    private func scheme(_ bytes: Bytes) throws(Invalid) -> (ServerURL.System, ServerURL.Scheme, rest: Bytes) {
        let name = bytes.prefix(while: Self.isSchemeCharacter)
        let rest = bytes[name.endIndex...]
        let text = String(decoding: name, as: UTF8.self).lowercased()
        var known: (system: ServerURL.System, scheme: ServerURL.Scheme)?
        for system in systems where known == nil { known = system.schemes.first { $0.name == text }.map { (system, $0) } }
        guard rest.starts(with: "://".utf8) else {
            if let known, known.system.isFolder, rest.first == UInt8(ascii: ":") {
                throw Invalid(reason: "the folder's path is not absolute", hint: "write \(text):///FOLDER or /FOLDER")
            }
            throw Invalid(reason: "the server is neither a URL nor an absolute path", hint: forms)
        }
        guard let known else {
            throw Invalid(reason: text.isEmpty ? "the server URL has no scheme" : "unknown scheme \(text)", hint: forms)
        }
        return (known.system, known.scheme, rest.dropFirst(3))
    }

    // MARK: Authority and path

    private func checkLocal(_ authority: Bytes, _ system: ServerURL.System, _ scheme: ServerURL.Scheme) throws(Invalid) {
        if authority.isEmpty || String(decoding: authority, as: UTF8.self).lowercased() == "localhost" { return }
        guard system.isFolder else {
            throw Invalid(reason: "a \(scheme.name) URL has no host", hint: "write \(scheme.name)://")
        }
        throw Invalid(
            reason: "a \(scheme.name) URL names a folder on this machine, not a host",
            hint: "write \(scheme.name):///FOLDER, with three slashes")
    }

    private func path(_ bytes: Bytes, _ system: ServerURL.System, _ scheme: ServerURL.Scheme) throws(Invalid) -> String {
        if case .hosts = system.authority, bytes.starts(with: "//".utf8) {
            throw Invalid(reason: "the server URL has more than one scheme", hint: "name it once: \(scheme.name)://HOST:PORT,HOST:PORT")
        }
        switch system.path {
        case .none:
            guard bytes.isEmpty || bytes.elementsEqual("/".utf8) else {
                throw Invalid(
                    reason: "a \(system.name) URL has no path",
                    hint: "give the election's name as an argument of its own"
                        + (system.hasCredentials ? "; in a password write / as %2F" : ""))
            }
            return ""
        case .folder:
            if bytes.isEmpty { throw Invalid(reason: "the folder's path is empty", hint: "write \(scheme.name):///FOLDER") }
            return try ServerURL.normalised(folder: try decode(bytes, "the folder's path"), scheme)
        case .prefix:
            let path = try decode(bytes, "the path").utf8.split(separator: UInt8(ascii: "/"))
            return path.map { "/" + String(Substring($0)) }.joined()
        case .part(let part):
            let text = bytes.dropFirst()
            guard !text.contains(UInt8(ascii: "/")) else { throw part.tooMany }
            let name = try decode(text, part.what)
            if name.isEmpty { return "" }
            if let problem = part.problem(name) { throw problem }
            return "/" + name
        }
    }

    private typealias Login = (user: String?, password: String?, token: String?)

    private func hosts(
        _ authority: Bytes, _ areRequired: Bool, _ loneUserIsToken: Bool
    ) throws(Invalid) -> (Login, [ServerURL.Host]) {
        let parts = authority.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard parts.count <= 2 else {
            throw Invalid(
                reason: "the server URL has more than one @", hint: "give credentials once, before the first host, and write their @ as %40"
            )
        }
        let login = parts.count == 2 ? try credentials(parts[0], loneUserIsToken) : (user: nil, password: nil, token: nil)
        var hosts: [ServerURL.Host] = []
        if authority.isEmpty, !areRequired { return (login, hosts) }
        for part in parts[parts.count - 1].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            hosts.append(try host(part, number: hosts.count + 1))
        }
        return (login, hosts)
    }

    // MARK: Parts

    private func credentials(_ bytes: Bytes, _ loneUserIsToken: Bool) throws(Invalid) -> Login {
        let (first, second) = Self.cut(bytes, at: ":")
        if first.isEmpty { throw Invalid(reason: "there is no user before the @", hint: "write USER:PASSWORD@HOST") }
        let user = try decode(first, "the user's name")
        if let second { return (user, try decode(second, "the password"), nil) }
        return loneUserIsToken ? (nil, nil, user) : (user, nil, nil)
    }

    private func host(_ bytes: Bytes, number: Int) throws(Invalid) -> ServerURL.Host {
        let name: String
        let port: Bytes?
        if bytes.first == UInt8(ascii: "[") {
            let (inside, rest) = Self.cut(bytes.dropFirst(), at: "]")
            guard let after = rest, let address = Self.ipv6(inside), after.isEmpty || after.first == UInt8(ascii: ":") else {
                throw Invalid(
                    reason: "host \(number) is not an IPv6 address in brackets", hint: "write [ADDRESS]:PORT, and a zone as %25ZONE")
            }
            name = address
            port = after.isEmpty ? nil : after.dropFirst()
        } else {
            let first: Bytes
            (first, port) = Self.cut(bytes, at: ":")
            if first.isEmpty { throw Invalid(reason: "host \(number) has no name", hint: "write HOST:PORT, with commas between hosts") }
            if port?.contains(UInt8(ascii: ":")) == true {
                throw Invalid(reason: "host \(number) has more than one colon", hint: "write an IPv6 address as [ADDRESS]:PORT")
            }
            guard first.allSatisfy(Self.isHostCharacter) else {
                throw Invalid(
                    reason: "the name of host \(number) has characters that no host name has",
                    hint: "use letters, digits, '-', '_' and '.'; an international name in its xn-- form"
                )
            }
            name = String(decoding: first, as: UTF8.self).lowercased()
        }
        guard let port else { return ServerURL.Host(name: name) }
        let isNumber = !port.isEmpty && port.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard isNumber, let value = UInt16(String(decoding: port, as: UTF8.self)), value > 0 else {
            throw Invalid(reason: "the port of host \(number) is not a number from 1 to 65535", hint: "write HOST:PORT")
        }
        return ServerURL.Host(name: name, port: Int(value))
    }

    private func items(_ query: Bytes) throws(Invalid) -> [ServerURL.QueryItem] {
        if query.contains(UInt8(ascii: "@")) {
            throw Invalid(reason: "the query has an @", hint: "write it as %40, and in a password ? as %3F")
        }
        var items: [ServerURL.QueryItem] = []
        for part in query.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: true) {
            let (name, value) = Self.cut(part, at: "=")
            if name.isEmpty { throw Invalid(reason: "a query item has no name", hint: "write ?NAME=VALUE&NAME=VALUE") }
            let item = ServerURL.QueryItem(name: try decode(name, "the query"), value: try decode(value ?? [], "the query"))
            if Self.secretNames.contains(item.name.lowercased()) {
                throw Invalid(
                    reason: "a secret must not be in the query", hint: "write USER:PASSWORD@HOST, or name a file that holds it")
            }
            items.append(item)
        }
        return items
    }

    private static let secretNames = ["password", "passwd", "pass", "pwd", "secret", "token"]

    private func decode(_ bytes: Bytes, _ what: String) throws(Invalid) -> String {
        guard let text = Percent.decode(bytes) else {
            throw Invalid(reason: "\(what) has a % that does not encode UTF-8", hint: "write a literal % as %25")
        }
        if text.utf8.contains(0) { throw Invalid(reason: "\(what) has a NUL", hint: "take %00 out") }
        return text
    }

    private static func cut(_ bytes: Bytes, at separator: Unicode.Scalar) -> (Bytes, Bytes?) {
        guard let index = bytes.firstIndex(of: UInt8(ascii: separator)) else { return (bytes, nil) }
        return (bytes[..<index], bytes[(index + 1)...])
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }

    private static func isSchemeCharacter(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || "+-.".utf8.contains(byte)
    }

    private static func isHostCharacter(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || "-_.".utf8.contains(byte)
    }

    /// The canonical form of an address with an optional `%25ZONE` (RFC 6874), or nil if the text is not an address.
    private static func ipv6(_ bytes: Bytes) -> String? {
        let (digits, zone) = cut(bytes, at: "%")
        var suffix = ""
        if let zone {
            let name = zone.dropFirst(2)
            guard zone.starts(with: "25".utf8), !name.isEmpty, name.allSatisfy(isHostCharacter) else { return nil }
            suffix = "%" + String(decoding: name, as: UTF8.self)
        }
        var address = in6_addr()
        guard inet_pton(AF_INET6, String(decoding: digits, as: UTF8.self), &address) == 1 else { return nil }
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &address, &buffer, socklen_t(buffer.count)) != nil else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) + suffix
    }
}

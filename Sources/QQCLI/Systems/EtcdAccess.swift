import QQCore
import QQEtcd
import QQNetwork

extension EtcdOptions {
    /// Endpoints, TLS and login from flags, server URL and environment.
    init(
        _ invocation: Invocation, _ choice: ServerChoice, variables: (String) -> String? = filledVariable
    ) throws(CoordinationError) {
        let tls = choice.url.tls || TLSOptions.isAsked(invocation) ? TLSOptions(invocation) : nil
        self.init(choice.url.hosts, tls: tls, login: try Self.login(invocation, choice, variables))
    }

    /// Flags override variables. Each of the two can contain only one login.
    private static func login(
        _ invocation: Invocation, _ choice: ServerChoice, _ variables: (String) -> String?
    ) throws(CoordinationError) -> EtcdLogin? {
        let urlLogin = try inURL(choice.url)
        let flags = choice.origin == .flag ? urlLogin : nil
        if let path = invocation[Flags.loginFile] {
            if flags != nil { throw several("--server, --login-file") }
            return try EtcdLoginFile.read(path)
        }
        if let flags { return flags }
        guard let found = try inVariables(variables) else { return urlLogin }
        if urlLogin != nil { throw several("QQ_SERVER, QQ_ETCD_USER") }
        return found
    }

    private static func several(_ names: String) -> CoordinationError {
        CoordinationError(
            .configuration, "cannot choose a login for etcd", because: "several are given: \(names)", hint: "give only one of them")
    }

    private static func inURL(_ url: ServerURL) throws(CoordinationError) -> EtcdLogin? {
        guard let user = url.user else { return nil }
        guard let password = url.password else {
            throw CoordinationError(
                .configuration, "cannot log in to etcd", because: "the server URL has a user and no password", at: url.description,
                hint: "set QQ_ETCD_USER and QQ_ETCD_PASSWORD, or use --login-file FILE")
        }
        return EtcdLogin(user: user, password: password)
    }

    private static func inVariables(_ variables: (String) -> String?) throws(CoordinationError) -> EtcdLogin? {
        switch (variables("QQ_ETCD_USER"), variables("QQ_ETCD_PASSWORD")) {
        case (nil, nil): return nil
        case (let user?, let password?): return EtcdLogin(user: user, password: password)
        case (let user, _):
            let (given, missing) =
                user == nil ? ("QQ_ETCD_PASSWORD", "QQ_ETCD_USER") : ("QQ_ETCD_USER", "QQ_ETCD_PASSWORD")
            throw CoordinationError(
                .configuration, "cannot log in with \(given)", because: "\(missing) is not set", hint: "set both, or neither")
        }
    }
}

/// A file with `USER:PASSWORD` in its only line. The user has no colon; the password can have some.
enum EtcdLoginFile {
    private static let limit = 4 << 10

    static func read(_ path: String) throws(CoordinationError) -> EtcdLogin {
        func refuse(_ reason: String, hint: String? = nil) -> CoordinationError {
            CoordinationError(.configuration, "cannot log in to etcd", because: reason, at: path, hint: hint)
        }
        let bytes: [UInt8]
        do throws(SystemCallError) { bytes = try ReadableFile.contents(of: path, upTo: limit + 1) } catch { throw refuse(error.reason) }
        guard bytes.count <= limit else { throw refuse("the file is larger than \(limit >> 10) KiB") }
        guard let login = parse(bytes) else {
            throw refuse("the file does not contain a login", hint: "write USER:PASSWORD into it, in one line")
        }
        return login
    }

    /// - Returns: nil for anything else than a user and a password in one line.
    static func parse(_ bytes: [UInt8]) -> EtcdLogin? {
        var bytes = bytes[...]
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }),
            let colon = text.firstIndex(of: ":"), colon != text.startIndex
        else { return nil }
        let password = String(text[text.index(after: colon)...])
        return password.isEmpty ? nil : EtcdLogin(user: String(text[..<colon]), password: password)
    }
}

extension Flags {
    static let loginFile = Flag<String>(
        "login-file", value: "FILE", kind: .file, group: .access,
        help: "etcd: the file with USER:PASSWORD",
        more: """
            etcd: log in with the user and the password in this file, which contains nothing but one line, *USER*`:`*PASSWORD*. Without it, \
            `QQ_ETCD_USER` and `QQ_ETCD_PASSWORD` apply, which are hidden from everything that `qq` starts.
            """,
        parse: Values.text)
}

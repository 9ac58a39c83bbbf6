import QQCore

extension NATSOptions.Credentials {
    /// Path of the secrets file if users other than its owner can access it, which deserves a warning. Nil also if the file does not exist.
    public var fileReadableByOthers: String? {
        switch self {
        case .none, .userPassword, .token: return nil
        case .nkey(let path), .credentialsFile(let path): return SecretFile.isReadableByOthers(path) ? path : nil
        }
    }
}

extension NATSOptions.Credentials: CustomStringConvertible, CustomReflectable {
    /// The kind of credentials, with the user's name or the file's path.
    public var description: String {
        switch self {
        case .none: "no credentials"
        case .userPassword(let user, _): "user \(Printable.text(user)) with password"
        case .token: "token"
        case .nkey(let path): "NKey in \(Printable.text(path))"
        case .credentialsFile(let path): "credentials in \(Printable.text(path))"
        }
    }

    /// Shows the description alone, to keep secrets out of dumps.
    public var customMirror: Mirror { Mirror(self, children: ["credentials": description]) }
}

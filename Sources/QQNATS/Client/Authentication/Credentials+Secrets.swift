import QQCore

extension NATSOptions.Credentials {
    /// The path of the file with secrets, where others than its owner may read it: worth a warning. Nil too where there is no such file.
    public var fileReadableByOthers: String? {
        switch self {
        case .none, .userPassword, .token: return nil
        case .nkey(let path), .credentialsFile(let path): return SecretFile.isReadableByOthers(path) ? path : nil
        }
    }
}

extension NATSOptions.Credentials: CustomStringConvertible, CustomReflectable {
    /// What kind they are, with the user's name or the file's path.
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

import QQCore

/// How we log in.
struct Login {
    /// CONNECT for `credentials`, which are read from their files now, and answer the nonce in `info`.
    ///
    /// What a server makes of them is for it to say, also where it asks for authentication and there are none.
    ///
    /// - Throws: ``NATSError`` of kind `configuration` for files that cannot be used and for an NKey where the server knows none, `denied` for a JWT that has
    ///   expired.
    static func connectOptions(
        for credentials: NATSOptions.Credentials, info: ServerInfo, tlsRequired: Bool, name: String
    ) throws(NATSError) -> ConnectOptions {
        var options = ConnectOptions(name: name, tlsRequired: tlsRequired)
        switch credentials {
        case .none: break
        case .userPassword(let user, let password): (options.user, options.password) = (user, password)
        case .token(let token): options.token = token
        case .nkey(let path):
            let key = try SeedFile(path: path).key
            guard let nonce = info.nonce else { throw NATSError(.configuration, "the server takes no NKeys: it sends no nonce to sign") }
            options.nkey = key.publicKey
            options.signature = try key.sign(Array(nonce.utf8))
        case .credentialsFile(let path):
            let file = try CredentialsFile(path: path)
            options.jwt = file.jwt
            // A server without authentication has no nonce, and does not look at the signature.
            options.signature = try file.key.sign(Array((info.nonce ?? "").utf8))
        }
        return options
    }
}

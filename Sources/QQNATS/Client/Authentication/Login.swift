import QQCore

/// Builds the CONNECT that logs in.
struct Login {
    /// Returns CONNECT for `credentials`, whose files are read now, with a signature of the nonce in `info` if they have a key.
    ///
    /// Only the server judges the credentials, even if it requires authentication and there are none.
    ///
    /// - Throws: ``NATSError`` of kind `configuration` for unusable files, and for an NKey if the server does not support NKeys; `denied` for an expired JWT.
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
            guard let nonce = info.nonce else {
                throw NATSError(.configuration, "the server does not accept NKeys: it sends no nonce to sign")
            }
            options.nkey = key.publicKey
            options.signature = try key.sign(Array(nonce.utf8))
        case .credentialsFile(let path):
            let file = try CredentialsFile(path: path)
            options.jwt = file.jwt
            // A server without authentication sends no nonce and ignores the signature.
            options.signature = try file.key.sign(Array((info.nonce ?? "").utf8))
        }
        return options
    }
}

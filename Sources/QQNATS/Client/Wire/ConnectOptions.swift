import QQCore

/// The options of CONNECT. They contain secrets, which description and mirror leave out.
package struct ConnectOptions: Sendable, Hashable {
    /// Whether the client requires TLS.
    var tlsRequired = false
    /// Name of the connection, which operators see.
    var name = ""
    /// The client's version; the server only displays it.
    var version = QQCore.version
    var user: String?
    var password: String?
    var token: String?
    var jwt: String?
    /// The public key of an NKey, `U…`, if it is used without a JWT.
    var nkey: String?
    /// The server's nonce, signed, in base64url.
    var signature: String?

    init(name: String = "", tlsRequired: Bool = false) {
        self.name = name
        self.tlsRequired = tlsRequired
    }

    /// The argument of CONNECT. Members as in the Go client.
    var json: JSONValue {
        var object: JSONObject = ["verbose": false, "pedantic": false]
        let login = [("jwt", jwt), ("nkey", nkey), ("sig", signature), ("user", user), ("pass", password), ("auth_token", token)]
        for (member, value) in login { object[member] = value.map(JSONValue.string) }
        object["tls_required"] = .bool(tlsRequired)
        object["name"] = .string(name)
        object["lang"] = "swift"
        object["version"] = .string(version)
        object["protocol"] = 1
        object["echo"] = true
        object["headers"] = true
        object["no_responders"] = true
        return .object(object)
    }
}

extension ConnectOptions: CustomStringConvertible, CustomReflectable {
    /// The name and the kind of login.
    package var description: String {
        let kind =
            if jwt != nil { "JWT" } else if nkey != nil { "NKey" } else if token != nil { "token" } else if user != nil {
                "user and password"
            } else { "no login" }
        return "CONNECT \(Printable.text(name)) with \(kind)"
    }

    /// Shows the description alone, to keep secrets out of dumps.
    package var customMirror: Mirror { Mirror(self, children: ["connect": description]) }
}

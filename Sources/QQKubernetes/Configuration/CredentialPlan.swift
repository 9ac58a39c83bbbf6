import QQNetwork

/// How requests are authenticated, as the configuration says.
struct CredentialPlan: Sendable, Hashable {
    enum Method: Sendable, Hashable {
        /// Nothing in the requests. The connection can have a client certificate.
        case none
        /// The same value of `Authorization` for every request.
        case fixed(authorization: Secret)
        /// The token in a file, which is read again after a while.
        case tokenFile(TokenFile)
        /// The output of a program.
        case plugin(ExecPlugin)
    }

    /// How the description of a plan without credential begins.
    static let none = "no credential"

    var method: Method
    /// What is used and where it comes from, without the credential: `the token of user "ops" (/home/me/.kube/config)`.
    var description: String
}

/// A file with a token.
struct TokenFile: Sendable, Hashable {
    static let largest = 1 << 20

    var path: String
    /// The token to use if the file cannot be read: the first reading, or the token that the configuration has beside the file.
    var fallback: Secret

    /// Why a file has no token, as the end of a sentence.
    typealias Problem = SmallFile.Problem

    /// The token in the file, without the blanks around it.
    static func read(_ path: String) throws(Problem) -> Secret {
        let token = Secret(String(decoding: try SmallFile.read(path, upTo: largest), as: UTF8.self)).trimmed
        guard !token.text.isEmpty else { throw Problem(reason: "it is empty") }
        guard token.fitsInHeader else { throw Problem(reason: "it has more than one line, or control characters") }
        return token
    }
}

import QQCore
import Synchronization

/// The token of requests. One from a file is read again when the cluster denies a request, because agents' helpers renew such files.
final class TokenSource: Sendable {
    private let origin: ConsulAccess.Token
    private let known = Mutex<Secret?>(nil)

    init(_ origin: ConsulAccess.Token) { self.origin = origin }

    /// The token; nil for requests without one.
    func current() throws(ConsulFailure) -> Secret? {
        if let secret = known.withLock({ $0 }) { return secret }
        return try load()
    }

    /// The token that is to be used after `used` was denied; nil if there is no other.
    func next(after used: Secret?) throws(ConsulFailure) -> Secret? {
        guard case .file = origin else { return nil }
        let found = try load()
        return found == used ? nil : found
    }

    private func load() throws(ConsulFailure) -> Secret? {
        let found: Secret?
        switch origin {
        case .none: found = nil
        case .secret(let secret): found = secret
        case .file(let path):
            do throws(TokenFile.Problem) { found = try TokenFile.read(path) } catch {
                throw ConsulFailure(.configuration, "cannot read the token file: \(error.reason)", at: Printable.text(path))
            }
        }
        known.withLock { $0 = found }
        return found
    }
}

/// A file with a token, and nothing else but blanks around it.
enum TokenFile {
    struct Problem: Error, Hashable {
        var reason: String
    }

    private static let limit = 64 << 10

    static func read(_ path: String) throws(Problem) -> Secret {
        let bytes: [UInt8]
        do throws(SystemCallError) { bytes = try ReadableFile.contents(of: path, upTo: limit + 1) } catch {
            throw Problem(reason: error.reason)
        }
        guard bytes.count <= limit else { throw Problem(reason: "it is larger than \(limit >> 10) KiB") }
        guard let token = Secret(String(decoding: bytes, as: UTF8.self)).trimmed else { throw Problem(reason: "it is empty") }
        guard token.fitsInHeader else { throw Problem(reason: "it has more than one line, or control characters") }
        return token
    }
}

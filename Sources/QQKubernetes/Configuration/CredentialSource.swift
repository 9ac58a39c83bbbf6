import QQCore
import Synchronization

/// Supplies the credential for each request.
final class CredentialSource: Sendable {
    /// The token in a file is read again after this time (client-go: a minute, less 10 s).
    static let tokenAge: Duration = .seconds(50)

    private enum Method: Sendable {
        case fixed(Credential)
        case tokenFile(TokenFile)
        case plugin(PluginCredentials)
    }

    private struct Reading {
        var token: Secret
        var at: BootInstant
    }

    private let method: Method
    private let clock: any LeaseClock
    /// The last reading of the token's file.
    private let reading: Mutex<Reading>

    init(_ plan: CredentialPlan, _ surroundings: ClientSurroundings, clock: any LeaseClock) {
        self.clock = clock
        var first = Secret("")
        switch plan.method {
        case .none: method = .fixed(Credential())
        case .fixed(let authorization): method = .fixed(Credential(authorization: authorization))
        case .tokenFile(let file):
            method = .tokenFile(file)
            first = file.fallback
        case .plugin(let plugin): method = .plugin(PluginCredentials(plugin, surroundings, clock: clock))
        }
        reading = Mutex(Reading(token: first, at: clock.now()))
    }

    /// Begins to get a credential that takes time.
    func start() { if case .plugin(let plugin) = method { plugin.start() } }

    /// The credential for a request.
    /// - Parameter deadline: the deadline of the request. The time that the first credential takes does not count against it: an exec plugin can ask the user,
    ///   and has a time limit of its own.
    /// - Throws: `CoordinationError` if an exec plugin gives none.
    func current(until deadline: inout BootInstant) async throws(CoordinationError) -> Credential {
        switch method {
        case .fixed(let credential): credential
        case .tokenFile(let file): Self.bearer(token(file, age: Self.tokenAge))
        case .plugin(let plugin): try await plugin.current(until: &deadline)
        }
    }

    /// The credential in place of one that the server has refused (401); nil if there is no other.
    func next(after refused: Credential, until deadline: BootInstant) async -> Credential? {
        switch method {
        case .fixed: return nil
        case .tokenFile(let file):
            let next = Self.bearer(token(file, age: .zero))
            return next == refused ? nil : next
        case .plugin(let plugin): return await plugin.next(after: refused, until: deadline)
        }
    }

    func close() { if case .plugin(let plugin) = method { plugin.close() } }

    private static func bearer(_ token: Secret) -> Credential { Credential(authorization: Secret("Bearer " + token.text)) }

    /// The token in the file, read again if the last reading is older than `age`; the last reading if the file cannot be read.
    private func token(_ file: TokenFile, age: Duration) -> Secret {
        let now = clock.now()
        return reading.withLock { reading in
            if now.duration(since: reading.at) >= age, let token = try? TokenFile.read(file.path) {
                reading = Reading(token: token, at: now)
            }
            return reading.token
        }
    }
}

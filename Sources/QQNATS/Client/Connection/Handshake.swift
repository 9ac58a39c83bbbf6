/// The start of a connection: INFO, TLS if wanted, CONNECT and PING, PONG. Pure: the caller carries out the actions.
struct Handshake: Sendable {
    enum Event: Sendable {
        /// The TCP connection is established.
        case connected
        /// The TLS handshake is done and the server's certificate has been accepted.
        case secured
        case operation(ServerOperation)
    }

    enum Action: Sendable {
        case startTLS
        case send(ClientOperation)
        case ready(ServerInfo)
    }

    private enum State: Sendable {
        case idle
        case securingFirst
        case awaitingInfo(isSecure: Bool)
        case securing(ServerInfo)
        case awaitingPong(ServerInfo)
        case ready
    }

    private let options: NATSOptions
    private var state = State.idle

    init(_ options: NATSOptions) { self.options = options }

    /// - Throws: `NATSError` if the connection is unusable: refused, malformed or not secure enough.
    mutating func handle(_ event: Event) throws(NATSError) -> [Action] {
        switch (state, event) {
        case (.idle, .connected) where options.tls.handshakeFirst:
            state = .securingFirst
            return [.startTLS]
        case (.idle, .connected):
            state = .awaitingInfo(isSecure: false)
            return []
        case (.securingFirst, .secured):
            state = .awaitingInfo(isSecure: true)
            return []
        case (.awaitingInfo(let isSecure), .operation(.info(let info))): return try greeted(info, isSecure: isSecure)
        case (.securing(let info), .secured): return try logIn(info, isSecure: true)
        case (.awaitingPong, .operation(.pong)):
            guard case .awaitingPong(let info) = state else { return [] }
            state = .ready
            return [.ready(info)]
        case (.awaitingPong, .operation(.info(let info))):
            state = .awaitingPong(info)
            return []
        case (.awaitingPong, .operation(.ping)): return [.send(.pong)]
        case (.awaitingPong, .operation(.ok)): return []
        case (_, .operation(.error(let text))): throw ServerComplaint(text).refusal
        case (_, .operation): throw NATSError(.malformed, "the server sent data out of turn")
        case (_, .connected), (_, .secured): return []
        }
    }

    private mutating func greeted(_ info: ServerInfo, isSecure: Bool) throws(NATSError) -> [Action] {
        if isSecure { return try logIn(info, isSecure: true) }
        if info.tlsRequired || options.tls.isRequired {
            guard info.tlsRequired || info.tlsAvailable else {
                throw NATSError(.configuration, "the server does not offer TLS, which qq was told to use")
            }
            state = .securing(info)
            return [.startTLS]
        }
        return try logIn(info, isSecure: false)
    }

    private mutating func logIn(_ info: ServerInfo, isSecure: Bool) throws(NATSError) -> [Action] {
        let login = try Login.connectOptions(for: options.credentials, info: info, tlsRequired: isSecure, name: options.name)
        state = .awaitingPong(info)
        // The PONG shows that the server has accepted CONNECT.
        return [.send(.connect(login)), .send(.ping)]
    }
}

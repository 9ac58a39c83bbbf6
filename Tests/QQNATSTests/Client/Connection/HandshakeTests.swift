import QQCore
import Testing

@testable import QQNATS

@Suite("The handshake with a NATS server") struct HandshakeTests {
    private static func options(_ change: (inout NATSOptions.TLS) -> Void = { _ in }) -> NATSOptions {
        var options = NATSOptions(servers: [.init(host: "a")])
        change(&options.tls)
        return options
    }

    private static func info(_ change: (inout ServerInfo) -> Void = { _ in }) -> Handshake.Event {
        .operation(.info(ClientPlay.info(change)))
    }

    /// What it does, in words.
    private func words(_ actions: [Handshake.Action]) -> [String] {
        actions.map { action in
            switch action {
            case .startTLS: "TLS"
            case .send(.connect(let options)): options.tlsRequired ? "CONNECT over TLS" : "CONNECT"
            case .send(.ping): "PING"
            case .send(.pong): "PONG"
            case .send(let operation): "\(operation)"
            case .ready(let info): "ready \(info.serverName)"
            }
        }
    }

    private func run(_ handshake: inout Handshake, _ events: Handshake.Event...) throws(NATSError) -> [String] {
        var said: [String] = []
        for event in events { said += words(try handshake.handle(event)) }
        return said
    }

    @Test("in plain text waits for INFO, logs in, and is done with the PONG") func plain() throws {
        var handshake = Handshake(Self.options())
        #expect(try run(&handshake, .connected) == [])
        #expect(try run(&handshake, Self.info { $0.serverName = "n1" }) == ["CONNECT", "PING"])
        #expect(try run(&handshake, .operation(.ok), .operation(.ping)) == ["PONG"])
        #expect(try run(&handshake, .operation(.pong)) == ["ready n1"])
    }

    @Test("takes the last INFO that comes before the PONG") func secondInfo() throws {
        var handshake = Handshake(Self.options())
        _ = try run(&handshake, .connected, Self.info { $0.serverName = "old" })
        #expect(try run(&handshake, Self.info { $0.serverName = "new" }, .operation(.pong)) == ["ready new"])
    }

    @Test("goes over to TLS where the server requires it, or we do and it can") func upgrade() throws {
        for isOurs in [false, true] {
            var handshake = Handshake(Self.options { $0.isRequired = isOurs })
            #expect(
                try run(
                    &handshake, .connected,
                    Self.info {
                        $0.tlsRequired = !isOurs
                        $0.tlsAvailable = isOurs
                    }) == ["TLS"])
            #expect(try run(&handshake, .secured) == ["CONNECT over TLS", "PING"])
            #expect(try run(&handshake, .operation(.pong)) == ["ready "])
        }
    }

    @Test("begins with TLS where it is told to, and hears INFO inside") func handshakeFirst() throws {
        var handshake = Handshake(Self.options { $0.handshakeFirst = true })
        #expect(try run(&handshake, .connected) == ["TLS"])
        #expect(try run(&handshake, .secured) == [])
        #expect(try run(&handshake, Self.info { $0.tlsRequired = true }) == ["CONNECT over TLS", "PING"])
    }

    @Test("fails where we require TLS and the server has none") func noTLS() throws {
        var handshake = Handshake(Self.options { $0.isRequired = true })
        _ = try handshake.handle(.connected)
        let error = #expect(throws: NATSError.self) { try handshake.handle(Self.info()) }
        #expect(error?.kind == .configuration)
    }

    @Test("takes nothing but INFO first, and nothing at all between INFO and TLS")
    func outOfTurn() throws {
        let wrong: [ServerOperation] = [.ping, .pong, .ok, .message(sid: 1, NATSMessage(subject: "s"))]
        for operation in wrong {
            var fresh = Handshake(Self.options())
            _ = try fresh.handle(.connected)
            #expect(throws: NATSError(.malformed, "the server sent data out of turn")) { try fresh.handle(.operation(operation)) }
        }
        for operation in wrong + [.info(ServerInfo())] {
            var securing = Handshake(Self.options())
            _ = try securing.handle(.connected)
            _ = try securing.handle(Self.info { $0.tlsRequired = true })
            #expect(throws: NATSError(.malformed, "the server sent data out of turn")) { try securing.handle(.operation(operation)) }
        }
        var loggingIn = Handshake(Self.options())
        _ = try loggingIn.handle(.connected)
        _ = try loggingIn.handle(Self.info())
        #expect(throws: NATSError(.malformed, "the server sent data out of turn")) {
            try loggingIn.handle(.operation(.message(sid: 1, NATSMessage(subject: "s"))))
        }
    }

    @Test("ends with what the server has against us, at any point") func refused() throws {
        var first = Handshake(Self.options())
        _ = try first.handle(.connected)
        #expect(throws: NATSError(.disconnected, "the server says: maximum connections exceeded")) {
            try first.handle(.operation(.error("maximum connections exceeded")))
        }
        var later = Handshake(Self.options())
        _ = try later.handle(.connected)
        _ = try later.handle(Self.info())
        let error = #expect(throws: NATSError.self) { try later.handle(.operation(.error("Authorization Violation"))) }
        #expect(error?.kind == .denied)
    }

    @Test("with an NKey fails where the server sends nothing to sign") func noNonce() throws {
        var options = Self.options()
        options.credentials = .nkey(seedFile: "/nowhere/seed")
        var handshake = Handshake(options)
        _ = try handshake.handle(.connected)
        let error = #expect(throws: NATSError.self) { try handshake.handle(Self.info()) }
        #expect(error?.kind == .configuration)
    }
}

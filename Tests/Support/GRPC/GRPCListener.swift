import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
import NIOPosix
import QQGRPC
import Synchronization

/// A gRPC server within the process of the tests, on a port that it keeps over restarts. It is ended with the sandbox at the
/// latest.
final class GRPCListener: Sendable {
    private struct Running {
        let server: GRPCServer<HTTP2ServerTransport.Posix>
        let serving: Task<Void, Never>
        let channels: GRPCChannels
    }

    private struct State {
        var settings: GRPCServerSettings
        var port: UInt16 = 0
        var running: Running?
        /// Connections to those that run no more.
        var earlier = 0
    }

    /// One thread for all of them and what they do, so that an answer waits neither for the threads that the tests run on, nor to be handed from one to
    /// the next.
    private static let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private static let executor = EventLoopExecutor(threads.next())

    private let services: [any RegistrableRPCService]
    private let host: String
    private let state: Mutex<State>

    /// One that does not run yet.
    init(
        _ settings: GRPCServerSettings, _ services: [any RegistrableRPCService], at host: String = "127.0.0.1", in sandbox: Sandbox
    ) {
        self.services = services
        self.host = host
        state = Mutex(State(settings: settings))
        sandbox.atClose { self.end() }
    }

    var port: UInt16 { state.withLock(\.port) }
    var isRunning: Bool { state.withLock { $0.running != nil } }
    /// How many connections were ever accepted.
    var connections: Int { state.withLock { $0.earlier + ($0.running?.channels.count ?? 0) } }
    var usesTLS: Bool { state.withLock { $0.settings.tls != nil } }

    /// Takes effect with the next start.
    func change(_ change: (inout GRPCServerSettings) -> Void) { state.withLock { change(&$0.settings) } }

    /// Starts it, on the port that it had.
    func start() async throws {
        guard !isRunning else { return }
        let (settings, port) = state.withLock { ($0.settings, $0.port) }
        let end = ContinuousClock.now + .seconds(10)
        while true {
            let channels = GRPCChannels()
            let transport = HTTP2ServerTransport.Posix(
                address: .ipv4(host: host, port: Int(port)), transportSecurity: settings.security,
                config: settings.configuration(channels), eventLoopGroup: Self.threads)
            let server = GRPCServer(transport: transport, services: services)
            let serving = Task(executorPreference: Self.executor) { () -> Void in try? await server.serve() }
            if let bound = try? await transport.listeningAddress.ipv4?.port {
                state.withLock {
                    $0.port = UInt16(clamping: bound)
                    $0.running = Running(server: server, serving: serving, channels: channels)
                }
                return
            }
            serving.cancel()
            // Somebody's connection may have had the port for a moment: it is one of those that are given to anybody.
            guard ContinuousClock.now < end else { throw CannotStart("a gRPC server cannot listen on port \(port)") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Cuts everything at once, as the kernel does for a process that is killed; then the port refuses.
    func kill() async { await end()?.value }

    /// Begins to cut everything.
    /// - Returns: what ends when nothing listens and talks any more.
    @discardableResult private func end() -> Task<Void, Never>? {
        guard let running = takeRunning() else { return nil }
        running.channels.close()
        return Task {
            // After the connections, so that no call that waits is answered with its cancellation, and the library finds none that it has not ended.
            await running.channels.closed()
            running.serving.cancel()
        }
    }

    /// SIGTERM's way: GOAWAY, calls that run are answered, and nothing new is taken.
    func stop() async {
        guard let running = takeRunning() else { return }
        running.server.beginGracefulShutdown()
        await running.serving.value
    }

    /// Cuts the connections, and listens on.
    func cut() { state.withLock { $0.running?.channels }?.cut() }

    private func takeRunning() -> Running? {
        state.withLock { state in
            let running = state.running
            state.earlier += running?.channels.count ?? 0
            state.running = nil
            return running
        }
    }
}

extension ServerContext {
    /// Waits until the caller gives up, or the server ends.
    func neverAnswer() async throws -> Never {
        try await cancellation.cancelled
        throw RPCError(code: .cancelled, message: "nobody waits any more")
    }
}

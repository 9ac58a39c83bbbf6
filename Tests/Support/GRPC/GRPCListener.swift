import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
import NIOPosix
import QQGRPC
import QQNetwork
import Synchronization

/// A gRPC server within the test process, on a port that it keeps over restarts. The server is ended with the sandbox at the
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
        /// Number of connections to earlier runs of the server.
        var earlier = 0
    }

    /// One thread for all servers and their work. An answer therefore does not wait for the threads of the tests, and is not handed from thread to
    /// thread.
    private static let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private static let executor = EventLoopExecutor(threads.next())

    private let services: [any RegistrableRPCService]
    private let host: String
    private let state: Mutex<State>

    /// Makes a server that does not run yet.
    init(
        _ settings: GRPCServerSettings, _ services: [any RegistrableRPCService], at host: String = "127.0.0.1", in sandbox: Sandbox
    ) {
        self.services = services
        self.host = host
        state = Mutex(State(settings: settings))
        sandbox.atClose { self.end() }
    }

    var port: UInt16 { state.withLock { $0.port } }
    var isRunning: Bool { state.withLock { $0.running != nil } }
    /// Number of connections that were ever accepted.
    var connections: Int { state.withLock { $0.earlier + ($0.running?.channels.count ?? 0) } }
    var usesTLS: Bool { state.withLock { $0.settings.tls != nil } }

    /// Changes the settings; they take effect at the next start.
    func change(_ change: (inout GRPCServerSettings) -> Void) { state.withLock { change(&$0.settings) } }

    /// Starts the server, on its previous port if it had one.
    func start() async throws {
        guard !isRunning else { return }
        let (settings, port) = state.withLock { ($0.settings, $0.port) }
        let end = ContinuousClock.now + waitingTime
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
            // A connection of another process might have used the port for a moment: it is in the range that the kernel gives to any connection.
            guard ContinuousClock.now < end else { throw CannotStart("a gRPC server cannot listen on port \(port)") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Closes all channels immediately, as the kernel does for a process that is killed. Then the port refuses connections.
    func kill() async {
        await end()?.value
        await Socket.waitUntilRefused(port)
    }

    /// Starts to close all channels.
    /// - Returns: a task that ends when all channels are closed.
    @discardableResult private func end() -> Task<Void, Never>? {
        guard let running = takeRunning() else { return nil }
        running.channels.close()
        return Task {
            // Only after the connections: otherwise waiting calls would be answered with their cancellation, and the library would find connections that
            // it has not ended.
            await running.channels.closed()
            running.serving.cancel()
        }
    }

    /// Ends the server as SIGTERM does: sends GOAWAY, answers running calls, and accepts no new ones.
    func stop() async {
        guard let running = takeRunning() else { return }
        running.server.beginGracefulShutdown()
        await running.serving.value
    }

    /// Closes all connections and keeps listening.
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
    /// Waits until the caller gives up or the server ends.
    func neverAnswer() async throws -> Never {
        try await cancellation.cancelled
        throw RPCError(code: .cancelled, message: "the caller does not wait any more")
    }
}

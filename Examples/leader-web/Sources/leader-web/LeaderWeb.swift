import Foundation
import Hummingbird
import LeaderElection
import LeaderElectionLifecycle
import LeaderElectionLogging
import Logging

/// A service whose replicas all answer requests, and of which one at a time does the work that must not be done twice.
@main struct LeaderWeb {
    static func main() async {
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        do {
            let process = ProcessInfo.processInfo
            try await run(Arguments(process.arguments.dropFirst(), environment: process.environment))
        } catch let error as UsageError {
            FileHandle.standardError.write(Data("leader-web: \(error.reason)\n\n\(Arguments.usage)\n".utf8))
            exit(64)
        } catch {
            FileHandle.standardError.write(Data("leader-web: \(error)\n".utf8))
            exit(1)
        }
    }

    static func run(_ arguments: Arguments) async throws {
        let logger = Logger(label: "leader-web")
        var options = ElectionOptions()
        options.identity = arguments.id
        options.observers = [LogObserver(logger)]
        let election = try Election(arguments.election, at: arguments.server, options: options)

        let app = Application(
            router: routes(election),
            configuration: .init(address: .hostname(arguments.host, port: arguments.port), serverName: "leader-web"),
            // SIGTERM stops the server first, for it is the last service of the group, and then the election, which releases the lease.
            services: [ElectionService(election) { lease in try await work(lease, logger) }],
            onServerRunning: { channel in
                // For scripts that start replicas on port 0.
                FileHandle.standardOutput.write(Data("listening on port \(channel.localAddress?.port ?? 0)\n".utf8))
            },
            logger: logger)
        try await app.runService()
    }

    /// The work of the leader: here it only counts. It ends when its task is cancelled, because `Task.sleep` throws then.
    static func work(_ lease: Lease, _ logger: Logger) async throws {
        for round in 1... {
            try lease.checkStillHeld()
            logger.debug("at work", metadata: ["round": "\(round)", "token": "\(lease.token.map(\.description) ?? "none")"])
            try await Task.sleep(for: .seconds(1))
        }
    }
}

// `simulate`: lets worlds run, and shows the history of one that breaks a rule. docs/simulation.md says how to read it.
import Glibc
import Simulation

do {
    let options = try Options(CommandLine.arguments.dropFirst())
    exit(Runner(options).run() ? 0 : 1)
} catch {
    StandardError.print("\(error)")
    exit(64)
}

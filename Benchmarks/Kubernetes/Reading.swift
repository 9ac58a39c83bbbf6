import Glibc

/// Measures a cold read of a lease over TLS, with the kubeconfig's parsing. qq, kubectl and curl take turns.
func compareReading() {
    let server = serve()
    defer { server.end() }
    server.tool.tell("lead status other 36000")
    let kubectl = [
        program("kubectl", [tools + "/kubernetes-client/usr/bin/kubectl"]), "--kubeconfig", server.kubeconfig, "get", "lease", "status",
        "-n", "team",
    ]
    var commands = [server.command(["status", "status"]), kubectl]
    var others = ["kubectl get lease x (\(version(of: kubectl[0])))"]
    if access("/usr/bin/curl", X_OK) == 0 {
        let authority = folder + "/ca.crt"
        decode(folder + "/ca.base64", to: authority)
        commands.append([
            "/usr/bin/curl", "--silent", "--fail", "--cacert", authority, "--header", "Authorization: Bearer " + server.token,
            server.url + "/apis/coordination.k8s.io/v1/namespaces/team/leases/status",
        ])
        others.append("curl, the same GET")
    }
    // kubectl keeps the server's resources in a cache of its own from the first rounds on.
    let (medians, peaks) = takeTurns(commands, rounds)
    show(
        others.enumerated().map { index, other in
            Row("-s k8s://… status x", medians[0], other, medians[index + 1], aim: index == 0 ? 0.25 : nil)
        })
    print()
    let memory = zip(["qq status", "kubectl get", "curl"], peaks).map { name, peak in
        Figure("Peak memory of \(name)", "\(peak) kB", aim: name == "qq status" ? ("under 25 MB", peak < 25_000) : nil)
    }
    show(memory)
}

/// The version that a kubectl prints, such as `v1.20.2`; empty if it prints none.
private func version(of kubectl: String) -> Substring {
    let path = folder + "/version"
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    Child([kubectl, "version", "--client"], output: file).wait()
    close(file)
    let text = text(path)
    return text.firstRange(of: "v1.").map { text[$0.lowerBound...].prefix { $0.isNumber || $0 == "v" || $0 == "." } } ?? ""
}

private func decode(_ base64: String, to path: String) {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    let code = Child([program("base64", []), "--decode", base64], output: file).wait()
    close(file)
    guard code == 0 else { stop("base64: exit code \(code)") }
}

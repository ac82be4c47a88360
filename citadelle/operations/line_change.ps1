$wsl = '{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}'
if ($networks) {
    $rules = @(Get-NetFirewallRule -Name 'OpenSSH-Server-In-TCP*')
    if ($rules) { $rules | Set-NetFirewallRule -Enabled True -Profile Any -Action Allow -RemoteAddress $networks }
    else {
        $rule = @{ Name = 'OpenSSH-Server-In-TCP'; DisplayName = 'OpenSSH SSH Server (sshd)'; Direction = 'Inbound'; Action = 'Allow' }
        New-NetFirewallRule @rule -Protocol TCP -LocalPort $ports -Profile Any -RemoteAddress $networks | Out-Null
    }
}
$rule = @{ Name = 'citadelle-block-engine'; DisplayName = 'Citadelle: the engine is for this PC alone'; Direction = 'Inbound'; Action = 'Block' }
if ($block_engine) {
    Remove-NetFirewallRule -Name $rule.Name -ErrorAction SilentlyContinue
    New-NetFirewallRule @rule -Protocol TCP -LocalPort $engine -Profile Any -RemoteAddress Any | Out-Null
}
if ($block_engine_wsl) {
    Remove-NetFirewallHyperVRule -Name $rule.Name -ErrorAction SilentlyContinue
    New-NetFirewallHyperVRule @rule -VMCreatorId $wsl -Protocol TCP -LocalPorts $engine | Out-Null
}
foreach ($proxy in $proxies) {
    $kind, $address, $port, $null = $proxy -split '[ /]'  # the last name of such a list takes all that is left
    & netsh.exe interface portproxy delete $kind "listenport=$port" "listenaddress=$address" | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "netsh interface portproxy delete: exit code $LASTEXITCODE" }
}
for ($at = 0; $at -lt $hyperv.Count; $at++) {
    $value = @{ $hyperv[$at] = $hyperv_values[$at] }
    Set-NetFirewallHyperVVMSetting -Name $wsl @value
}
for ($at = 0; $at -lt $profiles.Count; $at++) {
    $value = @{ $profiles[$at] = $profile_values[$at] }
    Set-NetFirewallProfile -All @value
}
function Write-Bytes([string]$path, [string]$text) {
    if (-not (Test-Path -LiteralPath $path)) { New-Item -ItemType File -Path $path -Force | Out-Null }
    [IO.File]::WriteAllBytes((Get-Item -LiteralPath $path -Force).FullName, [Text.Encoding]::GetEncoding(28591).GetBytes($text))
}
$keys_file = $env:ProgramData + '\ssh\administrators_authorized_keys'
if ($null -ne $keys) { Write-Bytes $keys_file $keys }
if ($access) {
    foreach ($words in @('/reset'), @('/inheritance:r', '/grant:r', '*S-1-5-32-544:F', '*S-1-5-18:F'), @('/setowner', '*S-1-5-32-544')) {
        & icacls.exe $keys_file @words | Out-Null
        if ($LASTEXITCODE -ne 0) { throw "icacls $($words[0]): exit code $LASTEXITCODE" }
    }
}
if ($null -ne $sshd) { Write-Bytes ($env:ProgramData + '\ssh\sshd_config') $sshd }
if ($null -ne $sshd) {
    Restart-Service -Name sshd -Force
    if ([string](Get-Service -Name sshd).Status -ne 'Running') { throw 'sshd does not run after its restart' }
}
# Read again, as it counts: some settings are taken without a word and not kept.
foreach ($found in @(if ($profiles) { Get-NetFirewallProfile -PolicyStore ActiveStore })) {
    for ($at = 0; $at -lt $profiles.Count; $at++) {
        $kept = [long]$found.($profiles[$at])
        if ($kept -ne $profile_values[$at]) { throw "$($profile_ids[$at]): $($found.Name) is $kept after it was set" }
    }
}

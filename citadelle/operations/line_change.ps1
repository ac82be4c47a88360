$wsl = '{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}'
if ($networks) {
    $rules = @(Get-NetFirewallRule -Name 'OpenSSH-Server-In-TCP*')
    if ($rules) { $rules | Set-NetFirewallRule -Enabled True -Profile Any -Action Allow -RemoteAddress $networks }
    else {
        $rule = @{ Name = 'OpenSSH-Server-In-TCP'; DisplayName = 'OpenSSH SSH Server (sshd)'; Direction = 'Inbound'; Action = 'Allow' }
        New-NetFirewallRule @rule -Protocol TCP -LocalPort $ports -Profile Any -RemoteAddress $networks | Out-Null
    }
}
foreach ($name in $openings) { Set-NetFirewallRule -Name ([WildcardPattern]::Escape($name)) -Enabled False }
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
for ($at = 0; $at -lt $hyperv_properties.Count; $at++) {
    $value = @{ $hyperv_properties[$at] = $hyperv_values[$at] }
    Set-NetFirewallHyperVVMSetting -Name $wsl @value
}
for ($at = 0; $at -lt $profile_properties.Count; $at++) {
    $value = @{ $profile_properties[$at] = $profile_values[$at] }
    Set-NetFirewallProfile -Name $profile_names[$at] @value
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
function Confirm-Kept($found, [string]$id, [string]$property, $wanted) {
    $kept = [long]$found.$property
    if ($kept -ne $wanted) { throw "${id}: $($found.Name) is $kept after it was set" }
}
$in_force = @(if ($profile_ids) { Get-NetFirewallProfile -PolicyStore ActiveStore })
for ($at = 0; $at -lt $profile_ids.Count; $at++) {
    $name = $profile_names[$at]
    Confirm-Kept ($in_force | Where-Object { $_.Name -eq $name }) $profile_ids[$at] $profile_properties[$at] $profile_values[$at]
}
for ($at = 0; $at -lt $hyperv_ids.Count; $at++) {
    Confirm-Kept (Get-NetFirewallHyperVVMSetting -PolicyStore ActiveStore -Name $wsl) $hyperv_ids[$at] $hyperv_properties[$at] $hyperv_values[$at]
}
if ($block_engine -and -not (Get-NetFirewallRule -Name $rule.Name -ErrorAction SilentlyContinue)) { throw "${block_engine}: the rule is gone after it was made" }
if ($block_engine_wsl -and -not (Get-NetFirewallHyperVRule -Name $rule.Name -ErrorAction SilentlyContinue)) { throw "${block_engine_wsl}: the rule is gone after it was made" }
if ($networks) {
    $open = @(Get-NetFirewallRule -Name 'OpenSSH-Server-In-TCP*' | Get-NetFirewallAddressFilter | Where-Object { @($_.RemoteAddress) -contains 'Any' })
    if ($open) { throw "${ssh_rule}: SSH is open for all after it was set" }
}
foreach ($name in $openings) {
    if (@(Get-NetFirewallRule -Name ([WildcardPattern]::Escape($name)) | Where-Object { [int]$_.Enabled -ne 2 })) { throw "${ssh_openings}: the rule is on after it was turned off: $name" }
}

$wsl = 'C:\Program Files\WSL\wsl.exe'
$found = (Get-FileHash -LiteralPath $archive -Algorithm SHA256).Hash
if ($found -ne $sha256) { Remove-Item -LiteralPath $archive; throw "distribution file arrived damaged: $found" }
New-Item -ItemType Directory -Path $location -Force | Out-Null
$work = 'C:\ProgramData\citadelle\run'
New-Item -ItemType Directory -Path $work -Force | Out-Null
# Without an owner it is this session's user, who may be of a domain: known by the token, not by a list of accounts.
if ($owner) { $sid = [string](Get-LocalUser -Name $owner).SID.Value }
else { $sid = (& whoami.exe /user /fo csv /nh | ConvertFrom-Csv -Header name, sid).sid }
foreach ($folder in $location, $work) {
    & icacls.exe $folder /inheritance:r /grant:r '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F' "*${sid}:(OI)(CI)M" /q | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls: exit code $LASTEXITCODE" }
}
# wsl.exe as the owner: registrations are each user's own, and a task without a password is the way to be another user.
function Invoke-Wsl([string[]]$words, [int]$seconds) {
    if (-not $owner) {
        $ErrorActionPreference = 'Continue'  # what a program says on its other stream is no error of a script
        $said = (& $wsl @words 2>&1 | ForEach-Object { [string]$_ }) -join "`n"
        $code = $LASTEXITCODE
    } else {
        $log = "$work\" + [guid]::NewGuid().ToString('N')
        $quoted = ($words | ForEach-Object { if ($_ -match '[ |>]') { '"' + $_ + '"' } else { $_ } }) -join ' '
        $line = '/d /c ""' + $wsl + '" ' + $quoted + ' > "' + $log + '" 2>&1"'
        $code = Invoke-AsUser $owner "$env:SystemRoot\System32\cmd.exe" $line $seconds
        $said = ''
        if (Test-Path -LiteralPath $log) {
            $said = [string](Get-Content -LiteralPath $log -Raw)
            Remove-Item -LiteralPath $log
        }
    }
    # UTF-16 without a mark where the machine's variable is not in force yet.
    [pscustomobject]@{ code = $code; said = ($said -replace "`0", '').Trim() }
}
try {
    $listed = Invoke-Wsl '--list', '--quiet' 120
    # The owner's registry is not always there to be read: what it lists itself decides.
    if ($listed.code -ne 0 -or @($listed.said -split '\r?\n') -notcontains $distribution) {
        $done = Invoke-Wsl '--import', $distribution, $location, $archive, '--version', '2' 3600
        if ($done.code -ne 0) { throw "wsl --import: result $($done.code): $($done.said)" }
        Set-Content -LiteralPath "$location\source.txt" -Value "$distribution", "sha256 $sha256", "from $source" -Encoding ASCII
    }
    if ($config) {
        $done = Invoke-Wsl '-d', $distribution, '-u', 'root', '--exec', '/bin/sh', '-c', "echo $config | base64 -d > /etc/wsl.conf" 300
        if ($done.code -ne 0) { throw "wsl.conf cannot be written: result $($done.code): $($done.said)" }
        $done = Invoke-Wsl '--terminate', $distribution 120
        if ($done.code -ne 0) { throw "wsl --terminate: result $($done.code): $($done.said)" }
    }
}
finally { Remove-Item -LiteralPath $archive }
$global:LASTEXITCODE = 0

<#
.SYNOPSIS
    Opens a bare Windows 11 PC to its administrators, over SSH by key: the one thing that a person does on the PC itself.
.DESCRIPTION
    Installs Windows' own OpenSSH server where it is missing, starts it now and at boot, adds public keys of administrators, closes the file
    of those keys to everybody else, lets SSH in from the networks of administration alone, and prints the fingerprints of the PC's own keys.
    What is right already is left alone, so it may be run again. All else is the work of the roles, from the controller.
.PARAMETER KeyFile
    File with public keys, one a line, as ssh-keygen writes it (.pub).
.PARAMETER Network
    Networks of administration, with commas between them: 10.1.0.0/24,10.2.0.7/32
.PARAMETER Source
    Folder of Windows' Features on Demand, for a PC that does not get them from Windows Update.
.EXAMPLE
    powershell.exe -NoProfile -ExecutionPolicy Bypass -File bootstrap.ps1 -KeyFile admin.pub -Network 10.1.0.0/24
#>
param(
    [Parameter(Mandatory = $true)][string]$KeyFile,
    [Parameter(Mandatory = $true)][string]$Network,
    [string]$Source = ''
)
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$french = (Get-UICulture).Name -like 'fr*'
$changed = 0
function Write-Line([string]$english, [string]$other) { if ($french) { Write-Output $other } else { Write-Output $english } }
function Write-Change([string]$english, [string]$other) { $script:changed++; Write-Line "changed: $english" "modifié : $other" }
# What is wrong and its cure, in both languages.
function Stop-Here([string[]]$english, [string[]]$other) {
    Write-Line "${env:COMPUTERNAME}: $($english[0])" "${env:COMPUTERNAME} : $($other[0])"
    Write-Line "hint: $($english[1])" "conseil : $($other[1])"
    exit 1
}

# Everything is judged before anything is changed.
$groups = [string](& whoami.exe /groups /fo csv /nh)
if ($groups -notmatch 'S-1-5-32-544' -or $groups -notmatch 'S-1-16-(12288|16384)') {
    Stop-Here 'this console is not elevated',
        'start PowerShell with "Run as administrator", then run this again' "cette console n’est pas élevée",
        "ouvrez PowerShell avec « Exécuter en tant qu’administrateur », puis recommencez"
}
if (-not (Test-Path -LiteralPath $KeyFile)) {
    Stop-Here "file of public keys is absent: $KeyFile",
        'give -KeyFile the path of a .pub file' "le fichier de clés publiques est absent : $KeyFile",
        "donnez à -KeyFile le chemin d’un fichier .pub"
}
$keys = @(Get-Content -LiteralPath $KeyFile | ForEach-Object { ([string]$_).Trim() } | Where-Object { $_ -and $_ -notlike '#*' })
$wrong = @($keys | Where-Object { $_ -notmatch '^((sk-)?ssh-ed25519(@openssh\.com)?|ssh-rsa|(sk-)?ecdsa-sha2-nistp\d+(@openssh\.com)?) [A-Za-z0-9+/]{32,}={0,3}( .*)?$' })
if ($wrong -or -not $keys) {
    $first = [string]($wrong | Select-Object -First 1)
    Stop-Here "not a public key in ${KeyFile}: $first",
        'the file must hold the .pub half, one key a line' "ce n’est pas une clé publique dans ${KeyFile} : $first",
        'le fichier doit contenir la moitié .pub, une clé par ligne'
}
$networks = @($Network -split ',' | ForEach-Object { $_.Trim() } | Where-Object { $_ })
foreach ($one in $networks) {
    $address, $prefix = $one -split '/', 2
    $parsed = $null
    $longest = 32
    if ($address -like '*:*') { $longest = 128 }
    if (-not [Net.IPAddress]::TryParse($address, [ref]$parsed) -or $prefix -notmatch '^\d{1,3}$' -or [int]$prefix -gt $longest -or [int]$prefix -eq 0) {
        Stop-Here "not a network of administration: $one",
            'write it as 10.1.0.0/24' "ce n’est pas un réseau d’administration : $one",
            'écrivez-le comme 10.1.0.0/24'
    }
}

$capability = 'OpenSSH.Server~~~~0.0.1.0'
if (-not (Get-Service -Name sshd -ErrorAction SilentlyContinue)) {
    $more = @{}
    if ($Source) { $more = @{ Source = $Source; LimitAccess = $true } }
    try { Add-WindowsCapability -Online -Name $capability @more | Out-Null }
    catch {
        $told = [string]$_.Exception.Message + ' ' + ('0x{0:X8}' -f $_.Exception.HResult)
        if ($told -match '800f0954') {
            $cures = 'run again with -Source and the folder of Windows'' Features on Demand; or let the policy "Specify settings for optional ' +
                'component installation" fetch them from Windows Update; or install the MSI of github.com/PowerShell/Win32-OpenSSH, then run this again'
            $remedes = "recommencez avec -Source et le dossier des fonctionnalités à la demande de Windows ; ou autorisez-les depuis Windows Update " +
                "par la stratégie « Spécifier les paramètres d’installation des composants facultatifs » ; ou installez le MSI de " +
                'github.com/PowerShell/Win32-OpenSSH, puis recommencez'
            Stop-Here 'the company''s update server (WSUS) does not hand out the OpenSSH server: 0x800F0954',
                $cures "le serveur de mises à jour de l’entreprise (WSUS) ne fournit pas le serveur OpenSSH : 0x800F0954",
                $remedes
        }
        Stop-Here "the OpenSSH server cannot be installed: $told",
            'is the PC online, and Windows Update allowed? or give -Source' "le serveur OpenSSH ne peut pas être installé : $told",
            'le PC est-il en ligne, Windows Update autorisé ? sinon donnez -Source'
    }
    Write-Change "OpenSSH server installed ($capability)" "serveur OpenSSH installé ($capability)"
}

# The keys first: when the server starts, they are there.
$folder = $env:ProgramData + '\ssh'
$file = $folder + '\administrators_authorized_keys'
if (-not (Test-Path -LiteralPath $folder)) { New-Item -ItemType Directory -Path $folder | Out-Null }
$there = @(if (Test-Path -LiteralPath $file) { Get-Content -LiteralPath $file | ForEach-Object { ([string]$_).Trim() } })
$missing = @($keys | Where-Object { $there -notcontains $_ })
if ($missing) {
    Set-Content -LiteralPath $file -Value (@($there | Where-Object { $_ }) + $missing) -Encoding ASCII
    Write-Change "$($missing.Count) key(s) added: $file" "$($missing.Count) clé(s) ajoutée(s) : $file"
}
# A list that others may change is passed over by the server without a word: its owner and its entries are those two alone.
$list = [string](Get-Acl -LiteralPath $file).Sddl
$two = 'BA|SY|S-1-5-32-544|S-1-5-18'
$others = @([regex]::Matches($list, '\(\w+;[^;]*;[^;]*;[^;]*;[^;]*;([^;)]*)') | Where-Object { $_.Groups[1].Value -notmatch "^($two)$" })
if ($others -or $list -notmatch "^O:($two)(?![\d-])" -or $list -notmatch '\(') {
    foreach ($words in @('/reset'), @('/inheritance:r', '/grant:r', '*S-1-5-32-544:F', '*S-1-5-18:F'), @('/setowner', '*S-1-5-32-544')) {
        & icacls.exe $file @words | Out-Null
        if ($LASTEXITCODE -ne 0) {
            Stop-Here "icacls $($words[0]): exit code $LASTEXITCODE",
                "look at the access list of $file" "icacls $($words[0]) : code $LASTEXITCODE",
                "vérifiez la liste d’accès de $file"
        }
    }
    Write-Change "for Administrators and SYSTEM alone: $file" "réservé aux administrateurs et au système : $file"
}

# The rule before the server: it never listens to the whole network.
$wanted = @($networks | Sort-Object)
$rule = Get-NetFirewallRule -Name 'OpenSSH-Server-In-TCP' -ErrorAction SilentlyContinue
$from = @()
if ($rule) {
    # Windows writes 10.1.0.0/255.255.255.0 for 10.1.0.0/24.
    $from = @(($rule | Get-NetFirewallAddressFilter).RemoteAddress | ForEach-Object {
            $address, $mask = [string]$_ -split '/', 2
            if ($mask -notlike '*.*') { [string]$_ }
            else { $address + '/' + (([Net.IPAddress]$mask).GetAddressBytes() | ForEach-Object { [Convert]::ToString($_, 2).Replace('0', '').Length } | Measure-Object -Sum).Sum }
        } | ForEach-Object { if ($_ -match '^[\d.]+$') { "$_/32" } else { $_ } } | Sort-Object)
}
if (-not $rule) {
    $new = @{ Name = 'OpenSSH-Server-In-TCP'; DisplayName = 'OpenSSH SSH Server (sshd)'; Direction = 'Inbound'; Action = 'Allow' }
    New-NetFirewallRule @new -Protocol TCP -LocalPort 22 -Profile Any -RemoteAddress $networks | Out-Null
    Write-Change "SSH let in from $Network" "SSH autorisé depuis $Network"
}
elseif (($from -join ' ') -ne ($wanted -join ' ') -or [int]$rule.Enabled -ne 1 -or [int]$rule.Action -ne 2 -or [int]$rule.Profile -ne 0) {
    Set-NetFirewallRule -Name 'OpenSSH-Server-In-TCP' -Enabled True -Action Allow -Profile Any -RemoteAddress $networks
    Write-Change "SSH let in from $Network alone" "SSH autorisé depuis $Network seulement"
}

$service = Get-Service -Name sshd
if ([string]$service.StartType -ne 'Automatic') {
    Set-Service -Name sshd -StartupType Automatic
    Write-Change 'sshd starts at boot' 'sshd démarre avec le PC'
}
if ([string]$service.Status -ne 'Running') {
    Start-Service -Name sshd
    Write-Change 'sshd runs' 'sshd fonctionne'
}

if (-not $changed) { Write-Line 'nothing to change' 'rien à modifier' }
$english = "Compare these with what the first connection shows to ${env:COMPUTERNAME}, then put them into the controller's known_hosts:"
$other = "Comparez ces empreintes avec celles que montre la première connexion à ${env:COMPUTERNAME}, puis ajoutez-les au known_hosts du contrôleur :"
Write-Line $english $other
$keygen = @(($env:SystemRoot + '\System32\OpenSSH\ssh-keygen.exe'), ($env:ProgramFiles + '\OpenSSH\ssh-keygen.exe') | Where-Object { Test-Path -LiteralPath $_ })[0]
foreach ($public in @(Get-ChildItem -LiteralPath $folder -Filter 'ssh_host_*_key.pub')) {
    & $keygen -l -f ($folder + '\' + $public.Name)
}
exit 0
